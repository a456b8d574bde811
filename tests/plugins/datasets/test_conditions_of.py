"""Conditions made of images, each against its definition, pixel by pixel."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from ganforge_datasets.conditions_of import edges, grey, hole, low, outline


def noise(channels: int, height: int = 7, width: int = 5) -> Tensor:
    rng = torch.Generator().manual_seed(channels)
    return torch.randint(0, 256, (3, channels, height, width), generator=rng, dtype=torch.uint8)


def at(image: np.ndarray, row: int, column: int) -> int:
    """With borders that repeat."""
    height, width = image.shape
    return int(image[min(max(row, 0), height - 1), min(max(column, 0), width - 1)])


def test_grey_weighs_the_colors_as_bt_601_does() -> None:
    for image in noise(3):
        exact = np.tensordot([0.299, 0.587, 0.114], image.numpy().astype(float), 1)
        assert np.abs(grey(image[None])[0, 0].numpy() - exact).max() < 0.5001
    pure = torch.eye(3, dtype=torch.uint8).view(3, 3, 1, 1) * 255
    assert grey(pure).flatten().tolist() == [76, 150, 29]


def test_grey_of_other_channels_is_their_mean() -> None:
    assert torch.equal(grey(noise(1)), noise(1))
    mean = noise(2).float().mean(1, keepdim=True)
    assert torch.equal(grey(noise(2)), (mean + 0.5).floor().to(torch.uint8))


def test_edges_are_sobels() -> None:
    kernel = {(-1, -1): 1, (-1, 1): -1, (0, -1): 2, (0, 1): -2, (1, -1): 1, (1, 1): -1}
    for image in noise(1):
        levels = image[0].numpy()
        for r in range(7):
            for c in range(5):
                across = sum(w * at(levels, r + i, c + j) for (i, j), w in kernel.items())
                down = sum(w * at(levels, r + j, c + i) for (i, j), w in kernel.items())
                expected = min(255, int(math.sqrt(across**2 + down**2) / 4))
                assert edges(image[None])[0, 0, r, c] == expected


def test_a_flat_image_has_no_edges() -> None:
    assert not edges(torch.full((1, 3, 6, 6), 200, dtype=torch.uint8)).any()


def test_an_outline_goes_around_what_is_bright() -> None:
    image = torch.zeros(1, 1, 6, 7, dtype=torch.uint8)
    image[:, :, 2:4, 2:5] = 200
    expected = torch.zeros(6, 7, dtype=torch.uint8)
    expected[1:5, 1:6] = 200
    expected[2:4, 2:5] = 0
    assert torch.equal(outline(image)[0, 0], expected)


@pytest.mark.parametrize("factor", [2, 3])
def test_low_is_the_mean_of_each_square(factor: int) -> None:
    images = noise(3, 6, 12)
    small = low(images, factor)
    assert small.shape == (3, 3, 6 // factor, 12 // factor)
    for r in range(6 // factor):
        for c in range(12 // factor):
            square = images[0, 1, r * factor : (r + 1) * factor, c * factor : (c + 1) * factor]
            assert small[0, 1, r, c] == int(square.double().mean() + 0.5)


def test_a_hole_is_half_of_each_side() -> None:
    images = noise(3, 8, 12)
    holed = hole(images)
    changed = torch.zeros(8, 12, dtype=torch.bool)
    changed[2:6, 3:9] = True
    assert (holed[:, :, changed] == 128).all()
    assert torch.equal(holed[:, :, ~changed], images[:, :, ~changed])
