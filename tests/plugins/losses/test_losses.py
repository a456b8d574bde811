"""The losses: each against its paper's formula in float64, and all of them for what a loss must do."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

import ganforge_losses
from ganforge.api import Loss
from ganforge_losses.bce import Bce
from ganforge_losses.wasserstein import Wasserstein

pytestmark = pytest.mark.numeric

LOSSES = [c for c in ganforge_losses.ganforge_components() if issubclass(c, Loss)]
BY_NAME = {c.type_name(): c for c in LOSSES}
SHAPES = [(6,), (6, 1), (6, 1, 1, 1), (6, 1, 4, 3)]

each_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)


def make(name: str, **fields: object) -> Loss:
    return BY_NAME[name].model_validate({"type": name, **fields})


each_loss = pytest.mark.parametrize("loss", [make(name) for name in BY_NAME], ids=list(BY_NAME))


def logits(shape: tuple[int, ...], seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2


def sigmoid(x: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-x)))


def paired(loss: Loss, fake: Tensor, real: Tensor) -> Tensor:
    return loss.g_loss(fake, real if loss.paired else None)


def boundary_seeking(r: np.ndarray, f: np.ndarray) -> tuple[float, float]:
    d = -np.log(r).mean() - np.log(1 - f).mean()
    return d, ((np.log(f) - np.log(1 - f)) ** 2).mean() / 2


def softmax(r: np.ndarray, f: np.ndarray) -> tuple[float, float]:
    """Cross-entropies with the targets 1/N on real samples, and 1/2N on all, at each patch."""
    share = np.exp(np.concatenate([r, f])) / (np.exp(r).sum(0) + np.exp(f).sum(0))
    return -np.log(share[: len(r)]).mean(), -np.log(share).mean()


def contrast(high: np.ndarray, low: np.ndarray) -> float:
    """One above all the others, one below all the others, sample by sample."""
    total = 0.0
    for h, lo in zip(high, low, strict=True):
        total -= np.log(np.exp(h) / (np.exp(h) + sum(np.exp(other) for other in low))).mean()
        total -= np.log(np.exp(-lo) / (np.exp(-lo) + sum(np.exp(-other) for other in high))).mean()
    return total / len(high)


# The papers' formulas, written with probabilities and plain numpy: (d_loss, g_loss) of (real, fake).
Formula = Callable[[np.ndarray, np.ndarray], tuple[float, float]]
PAPER: list[tuple[str, dict[str, object], Formula]] = [
    (
        "bce",
        {},
        lambda r, f: (
            -np.log(sigmoid(r)).mean() - np.log(1 - sigmoid(f)).mean(),
            -np.log(sigmoid(f)).mean(),
        ),
    ),
    (
        "bce",
        {"saturating": True},
        lambda r, f: (
            -np.log(sigmoid(r)).mean() - np.log(1 - sigmoid(f)).mean(),
            np.log(1 - sigmoid(f)).mean(),
        ),
    ),
    (
        "bce",
        {"smooth_real": 0.1},
        lambda r, f: (
            -(0.9 * np.log(sigmoid(r)) + 0.1 * np.log(1 - sigmoid(r))).mean() - np.log(1 - sigmoid(f)).mean(),
            -np.log(sigmoid(f)).mean(),
        ),
    ),
    (
        "mse",
        {},
        lambda r, f: (((r - 1) ** 2).mean() / 2 + (f**2).mean() / 2, ((f - 1) ** 2).mean() / 2),
    ),
    (
        "mse",
        {"a": -1.0, "b": 0.5, "c": 0.25},
        lambda r, f: (
            ((r - 0.5) ** 2).mean() / 2 + ((f + 1) ** 2).mean() / 2,
            ((f - 0.25) ** 2).mean() / 2,
        ),
    ),
    (
        "hinge",
        {},
        lambda r, f: (-np.minimum(0, r - 1).mean() - np.minimum(0, -f - 1).mean(), -f.mean()),
    ),
    (
        "hinge",
        {"margin": 0.5},
        lambda r, f: (-np.minimum(0, r - 0.5).mean() - np.minimum(0, -f - 0.5).mean(), -f.mean()),
    ),
    ("wasserstein", {}, lambda r, f: (f.mean() - r.mean(), -f.mean())),
    (
        "relativistic",
        {},
        lambda r, f: (-np.log(sigmoid(r - f)).mean(), -np.log(sigmoid(f - r)).mean()),
    ),
    ("boundary_seeking", {}, lambda r, f: boundary_seeking(sigmoid(r), sigmoid(f))),
    ("began", {}, lambda r, f: (-r.mean(), -f.mean())),
    ("ebgan", {}, lambda r, f: (-r.mean() + np.maximum(0, 1 + f).mean(), -f.mean())),
    ("softmax", {}, lambda r, f: softmax(r, f)),
    ("dual_contrastive", {}, lambda r, f: (contrast(r, f), -contrast(r, f))),
    ("dual_contrastive", {"saturating": False}, lambda r, f: (contrast(r, f), contrast(f, r))),
]


@each_shape
@pytest.mark.parametrize(("name", "fields", "formula"), PAPER, ids=[f"{n}-{f}" for n, f, _ in PAPER])
def test_paper(name: str, fields: dict[str, object], formula: Formula, shape: tuple[int, ...]) -> None:
    loss, real, fake = make(name, **fields), logits(shape, 1), logits(shape, 2)
    d, g = formula(real.numpy(), fake.numpy())
    assert loss.d_loss(real, fake).item() == pytest.approx(d, rel=1e-12)
    assert paired(loss, fake, real).item() == pytest.approx(g, rel=1e-12)


def test_every_loss_has_its_paper_checked() -> None:
    assert {name for name, _, _ in PAPER} == set(BY_NAME)
    assert all(loss_type.source for loss_type in LOSSES)


def test_bce_at_equilibrium_is_twice_log_2() -> None:
    undecided = torch.zeros(5, dtype=torch.float64)
    assert make("bce").d_loss(undecided, undecided).item() == pytest.approx(2 * math.log(2), rel=1e-15)


def test_optimal_bce_discriminator_measures_the_jensen_shannon_divergence() -> None:
    # Theorem 1 of Goodfellow et al.: -d_loss at D* = p / (p + q) is 2 JSD(p, q) - 2 log 2.
    p, q = np.array([1, 2, 5]) / 8, np.array([4, 3, 1]) / 8
    best = torch.from_numpy(np.log(p / q))
    real = best.repeat_interleave(torch.tensor([1, 2, 5]))
    fake = best.repeat_interleave(torch.tensor([4, 3, 1]))
    middle = (p + q) / 2
    jsd = (p * np.log(p / middle)).sum() / 2 + (q * np.log(q / middle)).sum() / 2
    assert -make("bce").d_loss(real, fake).item() == pytest.approx(2 * jsd - 2 * math.log(2), rel=1e-12)


def test_bce_score_is_a_probability_and_other_scores_the_logits() -> None:
    x = logits((4,), 0)
    torch.testing.assert_close(make("bce").score(x), torch.from_numpy(sigmoid(x.numpy())))
    assert torch.equal(make("wasserstein").score(x), x)


def test_saturating_gradient_fades_where_the_discriminator_wins() -> None:
    fake = torch.tensor([-20.0], dtype=torch.float64, requires_grad=True)
    (fading,) = torch.autograd.grad(make("bce", saturating=True).g_loss(fake, None), fake)
    (strong,) = torch.autograd.grad(make("bce").g_loss(fake, None), fake)
    assert fading.item() == pytest.approx(-math.exp(-20), rel=1e-6)
    assert strong.item() == pytest.approx(-1, rel=1e-6)


REMEMBERS = {"began"}
"""Losses with a state, without which the discriminator does not see the fakes at first."""
PURE = [make(name) for name in BY_NAME if name not in REMEMBERS]
each_pure_loss = pytest.mark.parametrize("loss", PURE, ids=[loss.type for loss in PURE])


@each_pure_loss
@each_shape
def test_gradient(loss: Loss, shape: tuple[int, ...]) -> None:
    real, fake = (logits(shape, seed).requires_grad_(True) for seed in (3, 4))
    assert torch.autograd.gradcheck(loss.d_loss, (real, fake))
    assert torch.autograd.gradcheck(lambda f: paired(loss, f, real.detach()), (fake,))
    for value, leaves in [(loss.d_loss(real, fake), (real, fake)), (paired(loss, fake, real), (fake,))]:
        assert value.shape == ()
        assert all(slope.abs().sum() > 0 for slope in torch.autograd.grad(value, leaves))


@each_pure_loss
@each_shape
def test_better_separated_logits_please_the_discriminator(loss: Loss, shape: tuple[int, ...]) -> None:
    near, far = torch.full(shape, 0.4), torch.full(shape, 0.8)
    assert loss.d_loss(far, 1 - far) < loss.d_loss(near, 1 - near)


@each_loss
def test_risen_fake_logits_please_the_generator(loss: Loss) -> None:
    real = torch.full((6,), 0.5)
    low, high = torch.full((6,), 0.1), torch.full((6,), 0.4)
    if loss.type == "boundary_seeking":
        # What it seeks lies at 0: fakes are to rise until there.
        assert paired(loss, -low, real) < paired(loss, -high, real)
        assert paired(loss, low, real) < paired(loss, high, real)
        return
    assert paired(loss, high, real) < paired(loss, low, real)
    if loss.type not in REMEMBERS:
        assert loss.d_loss(real, high) > loss.d_loss(real, low)


@each_loss
@pytest.mark.parametrize("size", [1e4, -1e4])
def test_extreme_logits_stay_finite(loss: Loss, size: float) -> None:
    real, fake = torch.full((3,), -size), torch.full((3,), size, requires_grad=True)
    for value in (loss.d_loss(real, fake), paired(loss, fake, real)):
        (slope,) = torch.autograd.grad(value, fake)
        assert value.isfinite()
        assert slope.isfinite().all()


@each_loss
@each_shape
def test_bfloat16_autocast_changes_nothing(loss: Loss, shape: tuple[int, ...]) -> None:
    real, fake = logits(shape, 5).float(), logits(shape, 6).float()
    exact = loss.d_loss(real, fake), paired(loss, fake, real)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = loss.d_loss(real, fake), paired(loss, fake, real)
    assert [v.dtype for v in mixed] == [torch.float32, torch.float32]
    torch.testing.assert_close(mixed, exact, rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    ("name", "fields"),
    [("bce", {"smooth_real": 1.0}), ("bce", {"smooth_real": -0.1}), ("hinge", {"margin": 0.0})],
)
def test_senseless_fields_are_refused(name: str, fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        make(name, **fields)


def test_equal_verdicts_estimate_no_divergence_and_certain_ones_all_of_it() -> None:
    even = torch.zeros(4, dtype=torch.float64)
    sure = torch.full((4,), 50.0, dtype=torch.float64)
    assert Bce().estimates(even, even)["jensen_shannon"].item() == pytest.approx(0.0, abs=1e-12)
    assert Bce().estimates(sure, -sure)["jensen_shannon"].item() == pytest.approx(math.log(2))


def test_the_divergence_of_the_best_critic_of_two_known_distributions() -> None:
    # Data: 0 or 1 with odds 3:1; model: 1:3. D*(x) = p / (p + q) has logits log(p / q).
    p, q = [0.75, 0.25], [0.25, 0.75]
    logits = torch.tensor([math.log(a / b) for a, b in zip(p, q, strict=True)], dtype=torch.float64)
    real, fake = logits[[0, 0, 0, 1]], logits[[0, 1, 1, 1]]
    mid = [(a + b) / 2 for a, b in zip(p, q, strict=True)]
    kl = [sum(a * math.log(a / m) for a, m in zip(side, mid, strict=True)) for side in (p, q)]
    assert Bce().estimates(real, fake)["jensen_shannon"].item() == pytest.approx(sum(kl) / 2)


def test_the_critic_estimates_the_distance() -> None:
    real, fake = torch.tensor([1.0, 3.0]), torch.tensor([-1.0, 0.0])
    assert Wasserstein().estimates(real, fake)["wasserstein"].item() == pytest.approx(2.5)


def test_the_real_samples_share_of_the_softmax() -> None:
    even = torch.zeros(4, 1, 2, 2, dtype=torch.float64)
    loss = make("softmax")
    assert loss.estimates(even, even)["softmax_real_share"].item() == pytest.approx(0.5)
    assert loss.estimates(even + math.log(3), even)["softmax_real_share"].item() == pytest.approx(0.75)


def test_boundary_seeking_is_content_where_the_discriminator_cannot_decide() -> None:
    undecided = torch.zeros(3, requires_grad=True)
    (slope,) = torch.autograd.grad(make("boundary_seeking").g_loss(undecided, None), undecided)
    assert not slope.any()
    assert make("boundary_seeking").score(undecided).tolist() == [0.5] * 3
