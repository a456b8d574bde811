"""Everything with everything: what fits together trains, and what does not is refused by `check`'s
preflight with a reason, before any data is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
import torch

from ganforge.api import UserError
from ganforge.config import RunConfig
from ganforge.engine.loop import Loop
from ganforge.profiling.preflight import preflight
from ganforge.training.build import plan
from support.games import of_any_task
from support.toys import toy_config, toy_loop, toy_registry

REGISTRY = toy_registry()
NETS: dict[str, dict[str, Any]] = {
    "mlp": {"g_hidden": [8], "d_hidden": [8]},
    "dcgan": {"width": 4, "condition_dim": 4, "d_norm": "layer"},
    "resnet": {"g_width": 4, "d_width": 4},
    "biggan": {"channels": 4, "shared_dim": 4, "attention": 0, "spectral_norm": False},
    "r3gan": {"width": 32, "condition_dim": 4, "blocks": 1},
    "stylegan2": {"channel_max": 4, "w_dim": 4, "mapping_layers": 1},
}
"""Small ones; a new architecture must be named here, or the first test says so."""
OF_IMAGES = {"began", "translator", "unet", "upscaler"}
"""Those that take an image as their condition, and one that is made for a loss of its own."""
SIDES = {"mlp": 16, "dcgan": 16, "resnet": 28, "biggan": 28, "r3gan": 28, "stylegan2": 16}


CLASSIFIERS = {"auxiliary_classifier", "discriminative_classifier"}


def conditionings(nets: str) -> list[str]:
    return list(get_args(REGISTRY.find("nets", nets).model_fields["conditioning"].annotation))


def build_config(nets: str, how: str, loss: str, term: str | None) -> RunConfig:
    labels = "none" if how == "none" and term not in CLASSIFIERS else "many_of_k"
    prior = (
        {"type": "codes", "dim": 6, "categorical": [3]}
        if term == "mutual_information"
        else {"type": "normal", "dim": 8}
    )
    return toy_config(
        data={"type": "squares", "size": SIDES[nets], "labels": labels, "count": 8},
        prior=prior,
        nets={"type": nets, "conditioning": how, **NETS[nets]},
        loss={"type": loss},
        terms=[{"type": term}] if term else [],
        train={"batch_size": 4},
    )


def two_updates(loop: Loop) -> None:
    for role, rival in (("d", "g"), ("g", "d")):
        players: Any = loop.game.players
        before = {
            key: [p.detach().clone() for p in players[key].network.parameters()] for key in (role, rival)
        }
        loop.game.update(role, loop.batches.at(0))  # type: ignore[arg-type]
        after = {key: [p.detach() for p in players[key].network.parameters()] for key in (role, rival)}
        assert any(not torch.equal(a, b) for a, b in zip(before[role], after[role], strict=True))
        assert all(torch.equal(a, b) for a, b in zip(before[rival], after[rival], strict=True))
    assert all(value == value for value in loop.game.means.take().values())


def test_every_architecture_is_combined() -> None:
    assert set(NETS) | OF_IMAGES == set(REGISTRY.of("nets"))


LEGAL_REASONS = (
    "conditioning 'concat' gives the discriminator the labels that its head 'labels' has to predict",
    "conditioning 'concat' gives the discriminator the labels that its head 'label_found' has to predict",
)


@pytest.mark.parametrize(
    "nets", [pytest.param(each, marks=[] if each == "mlp" else [pytest.mark.slow]) for each in sorted(NETS)]
)
def test_what_fits_trains_and_what_does_not_is_refused(tmp_path: Path, nets: str) -> None:
    trained = refused = 0
    pairs = [(loss, None) for loss in REGISTRY.of("loss")] + [
        ("bce", term) for term in of_any_task(REGISTRY.of("terms"))
    ]
    for how in conditionings(nets):
        for loss, term in pairs:
            config = build_config(nets, how, loss, term)
            try:
                # All that a preflight refuses by; to time each combination would take minutes.
                plan(config).networks("meta")
            except UserError as error:
                assert any(reason in str(error) for reason in LEGAL_REASONS), (how, loss, term, str(error))
                refused += 1
                continue
            two_updates(toy_loop(tmp_path, config)[0])
            trained += 1
    assert trained >= 12
    assert refused == (len(CLASSIFIERS) if "concat" in conditionings(nets) else 0)


@pytest.mark.slow
@pytest.mark.parametrize("nets", sorted(NETS))
@pytest.mark.parametrize("loss", sorted(REGISTRY.of("loss")))
def test_every_loss_with_every_term(tmp_path: Path, nets: str, loss: str) -> None:
    for how in conditionings(nets):
        for term in of_any_task(REGISTRY.of("terms")):
            if how == "concat" and term in CLASSIFIERS:
                continue
            two_updates(toy_loop(tmp_path, build_config(nets, how, loss, term))[0])


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        (
            {
                "nets": {"type": "dcgan", "conditioning": "projection"},
                "data": {"type": "squares", "labels": "none"},
            },
            "nets 'dcgan': conditioning 'projection' needs labels, but the data has none; use conditioning = \"none\", or data with labels",
        ),
        (
            {"terms": [{"type": "auxiliary_classifier"}], "data": {"type": "squares", "labels": "vector"}},
            "term 'auxiliary_classifier' needs data labelled with one or many of K classes, but the data has vectors; use other [data] or remove the term",
        ),
        (
            {"terms": [{"type": "mutual_information"}]},
            "term 'mutual_information' needs a prior with codes, but prior 'normal' has none; use for example prior 'codes' with categorical = [10] or continuous = 2",
        ),
        (
            {"data": {"type": "squares", "size": 22}},
            "nets 'dcgan': image size 22x22 (height x width) is not base x 2^k, with one k >= 2 for both sides and a base of 4 to 7 for the shorter one; resize the data to 20x20 or 24x24, or use nets 'mlp'",
        ),
    ],
)
def test_what_cannot_be_is_explained(sections: dict[str, Any], expected: str) -> None:
    with pytest.raises(UserError) as caught:
        preflight(toy_config(**sections))
    assert str(caught.value) == expected
