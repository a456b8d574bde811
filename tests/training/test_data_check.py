"""Data that hardly anybody means to train on, found before the first iteration."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ganforge.api import DataSpec, Samples
from ganforge.training.data_check import suspicious


def lines(images: Tensor) -> list[str]:
    return suspicious(Samples(images), DataSpec(shape=tuple(images.shape[1:])))


def noise(count: int, *shape: int, seed: int = 0) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, *shape), generator=rng, dtype=torch.uint8)


GOOD = noise(1000, 3, 8, 8)


@pytest.mark.parametrize(
    "images",
    [
        GOOD,
        GOOD.float() / 127.5 - 1,
        noise(2, 1, 4, 4),
        GOOD[torch.arange(1000) % 50],  # each image twenty times
        torch.cat([GOOD[:1]] * 15),  # few, and copies on purpose
        noise(400, 2).float(),  # points with few values
        torch.cat([torch.zeros(900, 1, 4, 4, dtype=torch.uint8), noise(100, 1, 4, 4)])[torch.randperm(1000)]
        + noise(1000, 1, 4, 4) // 128,  # dark, but not black
    ],
)
def test_data_that_are_in_order_raise_nothing(images: Tensor) -> None:
    assert len(lines(images)) == (1 if len(images) == 15 else 0)


def test_one_sample() -> None:
    assert lines(GOOD[:1]) == ["the data set has a single sample; a GAN can only learn to repeat it"]


def test_equal_samples() -> None:
    tail = "; check what the data set reads"
    same = "all 100 samples were compared, and are the same"
    assert lines(GOOD[:1].expand(100, -1, -1, -1)) == [same + tail]
    assert lines(torch.zeros(100, 3, 8, 8, dtype=torch.uint8)) == [f"{same} (all black){tail}"]
    assert lines(torch.full((100, 3, 8, 8), 255, dtype=torch.uint8)) == [f"{same} (all white){tail}"]
    assert lines(torch.full((100, 3, 8, 8), 7, dtype=torch.uint8)) == [f"{same} (all pixels are 7){tail}"]
    assert lines(torch.full((100, 2), 0.5)) == [f"{same} (every value is 0.5){tail}"]
    some = "256 of the 1,000 samples were compared"
    assert lines(GOOD[torch.arange(1000) // 250]) == [f"{some}, and only 4 of them differ{tail}"]


def test_images_of_one_color_each() -> None:
    colors = noise(300, 3, 1, 1).expand(-1, -1, 8, 8)
    assert lines(colors) == ["every image is of a single color; check what the data set reads"]
    assert lines(noise(300, 3, 1, 1)) == []


def test_floats_from_0_to_1() -> None:
    assert lines(torch.linspace(0, 1, 3 * 4 * 4 * 30).view(30, 3, 4, 4)) == [
        "images are floats from 0 to 1; expected [-1, 1], which is what generators return, or uint8 from 0 to 255"
    ]
