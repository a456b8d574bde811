"""The metric `modes`, against the mixtures of data `toy2d` and closed forms."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from ganforge.api import DataSpec, Samples, UserError
from ganforge_datasets import toy2d
from ganforge_metrics.modes import Modes, mixture

pytestmark = pytest.mark.numeric

Shape = Literal["ring8", "grid25"]


class Given:
    """A sampler that hands out the samples it was given."""

    def __init__(self, samples: Tensor) -> None:
        self.samples = samples
        self.spec = DataSpec(shape=tuple(samples.shape[1:]))
        self.asked: list[tuple[int, int]] = []

    def sample(self, n: int, seed: int, cond: Tensor | None = None) -> Tensor:
        self.asked.append((n, seed))
        return self.samples[:n]


def drawn(shape: Shape, count: int = 2500, seed: int = 0) -> Tensor:
    """A draw of the mixture, written independently."""
    rng = np.random.default_rng(seed)
    if shape == "ring8":
        turn = np.exp(1j * np.pi / 4 * rng.integers(8, size=count)) * 2
        centers, scale, sigma = np.stack([turn.real, turn.imag], 1), math.sqrt(2), 0.02
    else:
        centers, scale, sigma = rng.integers(-2, 3, size=(count, 2)) * 2.0, 2 * math.sqrt(2), 0.05
    return torch.tensor((centers + sigma * rng.standard_normal((count, 2))) / scale, dtype=torch.float32)


def measure(fake: Tensor, shape: Shape = "ring8", samples: int = 2500) -> tuple[float, float]:
    value = Modes(shape=shape, samples=samples).compute(Given(fake), Samples(drawn(shape, seed=9)))
    assert list(value) == ["modes", "high_quality"]
    return value["modes"], value["high_quality"]


@pytest.mark.parametrize("shape", ["ring8", "grid25"])
def test_the_mixture_is_that_of_the_data(shape: Shape) -> None:
    centers, sigma = mixture(shape)
    theirs, their_sigma = toy2d.mixture(shape)
    assert np.allclose(centers.double().numpy(), theirs, rtol=0, atol=1e-6)
    assert sigma == pytest.approx(their_sigma, rel=1e-12)


@pytest.mark.parametrize(("shape", "count"), [("ring8", 8), ("grid25", 25)])
def test_a_perfect_generator(shape: Shape, count: int) -> None:
    modes, share = measure(drawn(shape, 50_000), shape, 50_000)
    assert modes == count
    # In the plane the distance from the center is Rayleigh distributed.
    assert share == pytest.approx(1 - math.exp(-(3**2) / 2), abs=0.002)


def test_collapse_on_three_modes() -> None:
    points = drawn("ring8")
    angle = torch.atan2(points[:, 1], points[:, 0])
    three = points[angle.abs() < math.pi / 4 + 0.2]
    modes, share = measure(three, samples=len(three))
    assert modes == 3
    assert share > 0.97


@pytest.mark.parametrize(("off", "hit"), [(2.99, True), (3.01, False)])
@pytest.mark.parametrize(("shape", "sigma", "scale"), [("ring8", 0.02, 2**0.5), ("grid25", 0.05, 8**0.5)])
def test_a_mode_ends_at_three_sigma(shape: Shape, sigma: float, scale: float, off: float, hit: bool) -> None:
    corner = {"ring8": (0.0, -2.0), "grid25": (4.0, -2.0)}[shape]
    point = torch.tensor([[corner[0] + off * sigma, corner[1]]]) / scale
    assert measure(point, shape, 1) == (float(hit), float(hit))


def test_share_counts_points_and_modes_count_once() -> None:
    center, nowhere = [math.sqrt(2), 0.0], [0.0, 0.0]
    other, broken = [-math.sqrt(2), 0.0], [math.nan, 0.0]
    fake = torch.tensor([center, center, other, nowhere, broken])
    assert measure(fake, samples=5) == (2.0, 0.6)


def test_asks_for_its_samples_and_its_seed() -> None:
    sampler = Given(drawn("ring8"))
    Modes(samples=100, seed=7).compute(sampler, Samples(drawn("ring8")))
    assert sampler.asked == [(100, 7)]


def test_images_are_refused() -> None:
    with pytest.raises(UserError) as caught:
        Modes().compute(Given(torch.zeros(4, 3, 8, 8)), Samples(torch.zeros(4, 3, 8, 8)))
    assert str(caught.value) == (
        "metric 'modes' needs 2-D points, as from data 'toy2d', got samples of shape (3, 8, 8)"
    )


@pytest.mark.parametrize(("shape", "data"), [("ring8", "grid25"), ("grid25", "ring8")])
def test_another_shape_than_that_of_the_data_is_refused(shape: Shape, data: Shape) -> None:
    with pytest.raises(UserError) as caught:
        Modes(shape=shape).compute(Given(drawn(data)), Samples(drawn(data)))
    assert str(caught.value) == (
        f"metric 'modes' has shape = \"{shape}\", but much of the data is outside its modes; "
        "set it to data.shape"
    )
