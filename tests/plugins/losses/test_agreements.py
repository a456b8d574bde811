"""Values that other people's code computes, too: the peer is named, its formula written in numpy.

Each formula is that of the peer's published code or paper as one would write it down, in float64; what ganforge
computes differs by rounding alone. Where ganforge means something else on purpose, the difference is a factor
or a setting that is named here.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ganforge.engine.sampling.ema import MovingAverage
from ganforge_losses.bce import Bce
from ganforge_losses.hinge import Hinge
from ganforge_losses.mse import Mse
from ganforge_losses.relativistic import Relativistic
from ganforge_losses.wasserstein import Wasserstein
from ganforge_metrics.fjd import frechet_distance
from ganforge_metrics.mmd import mmd_squared, polynomial
from ganforge_metrics.prdc import prdc

Floats = NDArray[np.float64]
pytestmark = pytest.mark.numeric


def draw(seed: int, *shape: int) -> Floats:
    return np.random.default_rng(seed).normal(size=shape)


REAL, FAKE = draw(0, 64) * 3, draw(1, 64) * 3 - 1


def sigmoid(x: Floats) -> Floats:
    return 1 / (1 + np.exp(-x))


def entropy(probability: Floats, target: float) -> float:
    """torch.nn.BCELoss."""
    return float(-(target * np.log(probability) + (1 - target) * np.log(1 - probability)).mean())


def exp_log(x: Floats) -> float:
    """Mean of log(1 + exp(x))."""
    return float(np.logaddexp(0, x).mean())


D_LOSSES: dict[str, tuple[object, Callable[[], float]]] = {
    # d_loss = (real_loss + fake_loss) / 2, each BCELoss of sigmoid outputs.
    "PyTorch-GAN gan.py, x 2": (Bce(), lambda: entropy(sigmoid(REAL), 1.0) + entropy(sigmoid(FAKE), 0.0)),
    # errD = errD_real + errD_fake.
    "pytorch/examples dcgan": (Bce(), lambda: entropy(sigmoid(REAL), 1.0) + entropy(sigmoid(FAKE), 0.0)),
    # softplus(-real) + softplus(fake).
    "StyleGAN2-ADA loss.py": (Bce(), lambda: exp_log(-REAL) + exp_log(FAKE)),
    # 0.5 * (MSELoss(D(x), 1) + MSELoss(D(G(z)), 0)).
    "PyTorch-GAN lsgan.py": (Mse(), lambda: float(0.5 * (((REAL - 1) ** 2).mean() + (FAKE**2).mean()))),
    # -mean(D(x)) + mean(D(G(z))).
    "PyTorch-GAN wgan.py": (Wasserstein(), lambda: float(FAKE.mean() - REAL.mean())),
    # relu(1 - real) + relu(1 + fake).
    "BigGAN-PyTorch losses.py": (
        Hinge(),
        lambda: float(np.maximum(1 - REAL, 0).mean() + np.maximum(1 + FAKE, 0).mean()),
    ),
    # softplus(-(D(x) - D(G(z)))).
    "R3GAN Trainer.py": (Relativistic(), lambda: exp_log(-(REAL - FAKE))),
}
G_LOSSES: dict[str, tuple[object, Callable[[], float]]] = {
    "PyTorch-GAN gan.py": (Bce(), lambda: entropy(sigmoid(FAKE), 1.0)),
    "Goodfellow et al. (2014), algorithm 1": (
        Bce(saturating=True),
        lambda: float(np.log(1 - sigmoid(FAKE)).mean()),
    ),
    # MSELoss(D(G(z)), 1), without the half of the discriminator's.
    "PyTorch-GAN lsgan.py, x 1/2": (Mse(), lambda: float(0.5 * ((FAKE - 1) ** 2).mean())),
    "PyTorch-GAN wgan.py": (Wasserstein(), lambda: float(-FAKE.mean())),
    "BigGAN-PyTorch losses.py": (Hinge(), lambda: float(-FAKE.mean())),
    "R3GAN Trainer.py": (Relativistic(), lambda: exp_log(-(FAKE - REAL))),
}


@pytest.mark.parametrize("peer", D_LOSSES)
def test_losses_of_the_discriminator(peer: str) -> None:
    loss, theirs = D_LOSSES[peer]
    ours = loss.d_loss(torch.tensor(REAL), torch.tensor(FAKE))  # type: ignore[attr-defined]
    assert ours.item() == pytest.approx(theirs(), rel=1e-12)


@pytest.mark.parametrize("peer", G_LOSSES)
def test_losses_of_the_generator(peer: str) -> None:
    loss, theirs = G_LOSSES[peer]
    ours = loss.g_loss(torch.tensor(FAKE), torch.tensor(REAL))  # type: ignore[attr-defined]
    assert ours.item() == pytest.approx(theirs(), rel=1e-12)


def covariance(rows: Floats) -> Floats:
    centered = rows - rows.mean(0)
    product: Floats = centered.T @ centered / (len(rows) - 1)
    return product


def test_frechet_distance_of_pytorch_fid() -> None:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), the root's trace from the eigenvalues of C1 C2."""
    a, b = draw(2, 200, 6) * 2, draw(3, 150, 6) + 0.5
    eigenvalues = np.linalg.eigvals(covariance(a) @ covariance(b)).real
    theirs = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(covariance(a) + covariance(b))
    theirs -= 2 * np.sqrt(eigenvalues.clip(0)).sum()
    assert frechet_distance(torch.tensor(a), torch.tensor(b)) == pytest.approx(theirs, rel=1e-9)


def test_kernel_distance_of_torch_fidelity() -> None:
    """The unbiased MMD^2 with the kernel (x.y / d + 1)^3."""
    a, b = draw(4, 40, 5), draw(5, 30, 5) + 0.3

    def kernel(x: Floats, y: Floats) -> Floats:
        return (x @ y.T / x.shape[1] + 1) ** 3

    def without_diagonal(k: Floats) -> float:
        return float((k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)))

    theirs = without_diagonal(kernel(a, a)) + without_diagonal(kernel(b, b)) - 2 * kernel(a, b).mean()
    ours = mmd_squared(torch.tensor(a), torch.tensor(b), polynomial)
    assert ours == pytest.approx(theirs, rel=1e-9)


def test_precision_recall_density_coverage_of_prdc() -> None:
    """The package `prdc`, whose balls exclude their surface; no sample of these lies on one."""
    real, fake, k = draw(6, 60, 3), draw(7, 50, 3) * 1.2, 3

    def distances(a: Floats, b: Floats) -> Floats:
        return np.sqrt(((a[:, None] - b[None]) ** 2).sum(-1))

    def radius(points: Floats) -> Floats:
        return np.sort(distances(points, points), axis=1)[:, k]  # the nearest is the point itself

    across = distances(real, fake)
    theirs = {
        "precision": (across < radius(real)[:, None]).any(0).mean(),
        "recall": (across < radius(fake)[None]).any(1).mean(),
        "density": (across < radius(real)[:, None]).sum(0).mean() / k,
        "coverage": (across.min(1) < radius(real)).mean(),
    }
    ours = prdc(torch.tensor(real), torch.tensor(fake), k)
    assert ours == pytest.approx({name: float(value) for name, value in theirs.items()}, rel=1e-12)


@pytest.mark.parametrize(("seen", "expected"), [(1_000_000, 10_000.0), (40_000, 2_000.0)])
def test_moving_average_of_stylegan2_ada(seen: int, expected: float) -> None:
    """beta = 0.5 ** (batch / ema_nimg), ema_nimg = min(ema_kimg * 1000, cur_nimg * ema_rampup); then
    p_ema = p + beta * (p_ema - p)."""
    network = nn.Linear(3, 2).double()
    average = MovingAverage(network, 10_000, 0.05)
    before = [each.detach().clone() for each in network.parameters()]
    with torch.no_grad():
        for each in network.parameters():
            each.add_(torch.ones_like(each))
    average.update(network, 32, seen)
    beta = 0.5 ** (32 / expected)
    for old, new, ours in zip(before, network.parameters(), average.network.parameters(), strict=True):
        torch.testing.assert_close(ours, new + beta * (old - new), rtol=1e-12, atol=1e-12)


def test_images_of_stylegan2_ada() -> None:
    """phase_real_img.to(torch.float32) / 127.5 - 1."""
    from ganforge.engine.data.conditions import as_conditions

    bytes_ = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    theirs = np.arange(256, dtype=np.float32).reshape(1, 1, 16, 16) / np.float32(127.5) - np.float32(1)
    assert (as_conditions(bytes_).numpy() == theirs).all()
    ends: Tensor = as_conditions(bytes_).flatten()[[0, 255]]
    assert ends.tolist() == [-1.0, 1.0] and not math.isnan(float(ends.sum()))
