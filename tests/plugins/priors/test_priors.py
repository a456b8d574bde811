"""The priors: shape, distribution, codes that match the latent, and their own random stream."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

import ganforge_priors
from ganforge.api import Code, Draw, Prior, UserError
from ganforge_priors.codes import Codes
from ganforge_priors.normal import Normal

PRIORS = {c.type_name(): c for c in ganforge_priors.ganforge_components()}
each_prior = pytest.mark.parametrize("name", PRIORS)


def make(name: str, **fields: object) -> Prior:
    return PRIORS[name].model_validate({"type": name, **fields})


def draw(prior: Prior, n: int, cond: Tensor | None = None, seed: int = 0) -> Draw:
    return prior.sample(n, cond, torch.Generator().manual_seed(seed))


@each_prior
def test_every_prior_gives_latents_of_its_width(name: str) -> None:
    prior, cond = make(name, dim=7), torch.eye(5)
    drawn = draw(prior, 5, cond)
    assert drawn.z.shape == (5, prior.z_dim())
    assert drawn.z.dtype == torch.float32
    assert drawn.cond is cond
    assert draw(prior, 5).cond is None
    assert set(drawn.codes) == {code.name for code in prior.codes()}


@each_prior
def test_every_prior_draws_from_the_given_stream_alone(name: str) -> None:
    prior, before = make(name), torch.get_rng_state()
    first, again, other = draw(prior, 8), draw(prior, 8), draw(prior, 8, seed=1)
    assert torch.equal(first.z, again.z)
    assert not torch.equal(first.z, other.z)
    assert torch.equal(torch.get_rng_state(), before)


def test_normal_has_mean_0_and_variance_1() -> None:
    z = draw(make("normal", dim=50), 2000).z.double()
    assert z.mean().item() == pytest.approx(0, abs=0.02)
    assert z.var().item() == pytest.approx(1, abs=0.03)
    # Three sigmas: 99.73 % of a normal lie within.
    assert (z.abs() < 3).double().mean().item() == pytest.approx(0.9973, abs=0.001)


@pytest.mark.parametrize("fields", [("uniform", {}), ("codes", {"continuous": 3})], ids=lambda f: f[0])
def test_uniform_fills_minus_1_to_1_evenly(fields: tuple[str, dict[str, object]]) -> None:
    z = draw(make(fields[0], dim=47, **fields[1]), 2000).z.double()
    assert -1 <= z.min() < -0.999
    assert 0.999 < z.max() <= 1
    assert z.mean().item() == pytest.approx(0, abs=0.01)
    assert z.var().item() == pytest.approx(1 / 3, abs=0.01)


def test_codes_are_named_in_order_and_lie_in_the_latent() -> None:
    prior = make("codes", dim=4, categorical=(3, 2), continuous=2)
    assert prior.z_dim() == 4 + 3 + 2 + 2
    assert prior.codes() == (
        Code("c1", "categorical", 3),
        Code("c2", "categorical", 2),
        Code("c3", "continuous", 1),
        Code("c4", "continuous", 1),
    )
    z, _, codes = draw(prior, 300)
    _, c1, c2, c3, c4 = torch.split(z, [4, 3, 2, 1, 1], dim=1)
    for part, name in [(c1, "c1"), (c2, "c2")]:
        assert codes[name].dtype == torch.int64
        assert torch.equal(part.argmax(1), codes[name])
        assert torch.equal(part.sum(1), torch.ones(300))
        assert set(part.flatten().tolist()) == {0, 1}
    assert torch.equal(c3, codes["c3"])
    assert torch.equal(c4, codes["c4"])


def test_codes_are_independent_and_uniform_over_classes() -> None:
    codes = draw(make("codes", categorical=(5, 5)), 5000).codes
    joint = torch.bincount(codes["c1"] * 5 + codes["c2"], minlength=25) / 5000
    # Five standard deviations of a frequency of 1/25 among 5000.
    assert (joint - 1 / 25).abs().max() < 5 * (1 / 25 * 24 / 25 / 5000) ** 0.5


def test_a_prior_without_codes_has_none() -> None:
    assert make("normal").codes() == make("uniform").codes() == make("codes").codes() == ()
    assert draw(make("codes"), 3).codes == {}


def test_a_run_file_gives_lists() -> None:
    prior = PRIORS["codes"].model_validate_json('{"type": "codes", "categorical": [10], "continuous": 2}')
    assert prior.z_dim() == 62 + 10 + 2


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("normal", {"dim": 0}),
        ("uniform", {"dim": -1}),
        ("codes", {"categorical": (1,)}),
        ("codes", {"continuous": -1}),
    ],
)
def test_senseless_fields_are_refused(name: str, fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        make(name, **fields)


def test_a_traversal_changes_one_code_along_the_columns_alone() -> None:
    prior = Codes(dim=3, categorical=(4,), continuous=2)
    grids = prior.traversals(5, 7, torch.Generator().manual_seed(1))
    assert {name: tuple(grid.shape) for name, grid in grids.items()} == {
        "c1": (5, 4, 9),
        "c2": (5, 7, 9),
        "c3": (5, 7, 9),
    }
    place = {"c1": slice(3, 7), "c2": slice(7, 8), "c3": slice(8, 9)}
    for name, grid in grids.items():
        rest = grid.clone()
        rest[:, :, place[name]] = 0
        assert (rest == rest[:, :1]).all(), name
        assert (rest[0] != rest[1]).any(), name
    assert torch.equal(grids["c1"][2, :, 3:7], torch.eye(4))
    assert grids["c2"][0, :, 7].tolist() == torch.linspace(-2, 2, 7).tolist()


def test_a_code_is_set_and_the_rest_of_the_latent_stays() -> None:
    prior = Codes(dim=3, categorical=(4,), continuous=1)
    z = prior.sample(6, None, torch.Generator().manual_seed(2)).z
    c1, c2 = prior.codes()
    assert torch.equal(prior.with_code(z, c1, 3.0), torch.cat([z[:, :3], torch.eye(4)[[3] * 6], z[:, 7:]], 1))
    assert torch.equal(prior.with_code(z, c2, -1.5), torch.cat([z[:, :7], torch.full((6, 1), -1.5)], 1))


def test_truncation_keeps_the_order_and_the_limit() -> None:
    z = torch.linspace(-4, 4, 4001).unsqueeze(1)
    for limit in (0.3, 1.0, 2.0):
        short = Normal(dim=1).truncated(z, limit)
        assert short.abs().max() <= limit
        assert (short.diff(dim=0) > 0).all()
        assert short[2000].item() == pytest.approx(0.0, abs=1e-6)
    torch.testing.assert_close(Normal(dim=1).truncated(z, 8.0), z, atol=1e-4, rtol=0)


def test_truncated_latents_are_those_of_a_rejection_sampler() -> None:
    z = torch.randn(200_000, 1, generator=torch.Generator().manual_seed(3))
    kept = z[z.abs() <= 1.0]
    levels = torch.linspace(0.05, 0.95, 19)
    found = Normal(dim=1).truncated(z, 1.0).flatten()
    torch.testing.assert_close(found.quantile(levels), kept.quantile(levels), atol=0.01, rtol=0)


def test_a_prior_without_truncation_says_so() -> None:
    with pytest.raises(UserError, match="prior 'uniform' cannot be truncated; remove --truncation"):
        ganforge_priors.uniform.Uniform().truncated(torch.zeros(1, 2), 1.0)


def test_a_plugin_with_the_former_name_of_z_dim_works() -> None:
    class Former(Prior):
        type: Literal["former"] = "former"

        def width(self) -> int:
            return 7

        def sample(self, n: int, cond: torch.Tensor | None, generator: torch.Generator) -> Draw:
            return Draw(torch.zeros(n, 7), cond, {})

    class Nobody(Prior):
        type: Literal["nobody"] = "nobody"

        def sample(self, n: int, cond: torch.Tensor | None, generator: torch.Generator) -> Draw:
            return Draw(torch.zeros(n, 7), cond, {})

    assert Former().z_dim() == 7
    with pytest.raises(TypeError, match="z_dim"):
        Nobody()  # type: ignore[abstract]
