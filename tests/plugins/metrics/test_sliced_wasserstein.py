"""The metric `sliced_wasserstein`, against closed forms and an independent sort in numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from ganforge.api import DataSpec, Samples, UserError
from ganforge_metrics.sliced_wasserstein import SlicedWasserstein, sliced_distance

pytestmark = pytest.mark.numeric


class Given:
    """A sampler that hands out the samples it was given."""

    def __init__(self, samples: Tensor) -> None:
        self.samples = samples
        self.spec = DataSpec(shape=tuple(samples.shape[1:]))
        self.seeds: list[int] = []

    def sample(self, n: int, seed: int, cond: Tensor | None = None) -> Tensor:
        self.seeds.append(seed)
        return self.samples[:n]


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def pixels(*shape: int, seed: int = 0) -> Tensor:
    return torch.randint(256, shape, generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def distance(fake: Tensor, data: Samples, samples: int, projections: int = 128) -> float:
    (value,) = SlicedWasserstein(samples=samples, projections=projections).compute(Given(fake), data).values()
    return value


def test_distance_of_any_two_sets() -> None:
    a, b, directions = noise(50, 7), noise(50, 7, seed=1) + 0.3, noise(7, 20, seed=2)
    squares = []
    for direction in directions.T.double().numpy():
        unit = direction / np.linalg.norm(direction)
        gap = np.sort(a.double().numpy() @ unit) - np.sort(b.double().numpy() @ unit)
        squares.append(float(gap @ gap) / 50)
    expected = math.sqrt(sum(squares) / 20)
    assert sliced_distance(a, b, directions) == pytest.approx(expected, rel=1e-6)


def test_distance_of_a_shifted_set_in_the_plane() -> None:
    # On the direction u a shift by v moves every projection by u . v, whose mean square is |v|^2 / D.
    points = noise(400, 2)
    moved = points + torch.tensor([3.0, -4.0])
    value = distance(moved, Samples(points), 400, projections=20_000)
    assert value == pytest.approx(5 / math.sqrt(2), rel=0.02)


@pytest.mark.parametrize("channels", [1, 3])
def test_images_are_compared_in_the_units_of_the_generator(channels: int) -> None:
    images = pixels(40, channels, 16, 16)
    same = images.double().div(127.5).sub(1).float()
    assert distance(same.flip(0), Samples(images), 40) == pytest.approx(0, abs=1e-6)
    brighter = distance(same + 0.5, Samples(images), 40, projections=2000)
    assert brighter == pytest.approx(0.5, rel=0.1)


@pytest.mark.parametrize(("size", "block"), [((64, 64), (2, 2)), ((32, 128), (1, 4)), ((96, 20), (3, 1))])
def test_large_images_are_averaged_down_to_32_pixels(size: tuple[int, int], block: tuple[int, int]) -> None:
    images, fake = pixels(10, 3, *size), noise(10, 3, *size)

    def averaged(x: Tensor) -> Tensor:
        (h, w), (bh, bw) = size, block
        return x.double().reshape(10, 3, h // bh, bh, w // bw, bw).mean((3, 5)).flatten(1).float()

    directions = torch.Generator().manual_seed(0)
    torch.randperm(10, generator=directions)
    small = averaged(images / 127.5 - 1)
    expected = sliced_distance(small, averaged(fake), torch.randn(small.shape[1], 128, generator=directions))
    assert distance(fake, Samples(images), 10) == pytest.approx(expected, rel=1e-4)


def test_nearer_samples_score_lower() -> None:
    data = Samples(noise(500, 2))
    near, far = noise(500, 2, seed=1) + 0.2, noise(500, 2, seed=1) + 1
    assert distance(near, data, 300) < distance(far, data, 300) / 2


def test_real_samples_are_chosen_from_the_whole_set() -> None:
    # The first half lies at 0 and the second at 1: a choice of the first samples would see 0 alone.
    data = Samples(torch.cat([torch.zeros(500, 1), torch.ones(500, 1)]))
    value = distance(torch.zeros(100, 1), data, 100)
    assert value == pytest.approx(math.sqrt(0.5), rel=0.2)


def test_result_is_repeatable_and_leaves_the_global_random_state() -> None:
    data, sampler = Samples(noise(300, 5)), Given(noise(300, 5, seed=1))
    before = torch.get_rng_state()
    first = SlicedWasserstein(samples=200, seed=3).compute(sampler, data)
    again = SlicedWasserstein(samples=200, seed=3).compute(sampler, data)
    other = SlicedWasserstein(samples=200, seed=4).compute(sampler, data)
    assert first == again != other
    assert list(first) == ["sliced_wasserstein"]
    assert sampler.seeds == [3, 3, 4]
    assert torch.equal(torch.get_rng_state(), before)


def test_too_few_real_samples_are_explained() -> None:
    with pytest.raises(UserError) as error:
        distance(noise(1000, 2), Samples(noise(600, 2)), 1000)
    assert str(error.value) == (
        "metric 'sliced_wasserstein' needs 1000 samples, but the data has 600; set samples = 600 or less"
    )
