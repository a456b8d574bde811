"""The products that stand for convolutions: torch's numbers, some images at a time or all at once."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ganforge.engine.kernels import im2col as patches
from ganforge.engine.kernels.convolution import (
    Geometry,
    convolutions_by_torch,
    input_gradient,
    value,
    weight_gradient,
)
from support.tensors import normal

pytestmark = pytest.mark.numeric

FORMATS = [torch.channels_last, torch.contiguous_format]


@pytest.mark.parametrize("at_once", [1, 10**6], ids=["an image at a time", "all at once"])
@pytest.mark.parametrize("channels", [1, 3, 9])
@pytest.mark.parametrize("others", [1, 4])
@pytest.mark.parametrize("padding", [(0, 0), (1, 2), (3, 3)])
@pytest.mark.parametrize("stride", [(1, 1), (2, 2), (1, 3)])
@pytest.mark.parametrize("kernel", [(1, 1), (2, 3), (4, 4)])
def test_the_three_operations_are_torchs(
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    others: int,
    channels: int,
    at_once: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(patches, "PART", 0)
    monkeypatch.setattr(patches, "MIN_PATCHES", at_once)
    for memory_format in FORMATS:
        x = normal(2, channels, 5, 7).to(memory_format=memory_format)
        weight = normal(others, channels, *kernel, seed=1).to(memory_format=memory_format)
        bias = normal(others, seed=2)
        y = F.conv2d(x, weight, bias, stride, padding)
        g = normal(*y.shape, seed=3)
        of_x, of_weight = torch.autograd.grad(
            F.conv2d(x.requires_grad_(True), weight.requires_grad_(True), None, stride, padding),
            (x, weight),
            g,
        )
        x, weight = x.detach(), weight.detach()
        torch.testing.assert_close(patches.gathered(x, weight, bias, y.shape[2:], stride, padding), y)
        torch.testing.assert_close(patches.correlated(g, x, kernel, stride, padding), of_weight)
        torch.testing.assert_close(patches.scattered(g, weight, None, (5, 7), stride, padding), of_x)
        shift = normal(channels, seed=4)
        torch.testing.assert_close(
            patches.scattered(g, weight, shift, (5, 7), stride, padding), of_x + shift[:, None, None]
        )


def test_a_batch_may_be_empty() -> None:
    x, weight, g = torch.zeros(0, 3, 4, 4), normal(2, 3, 4, 4).float(), torch.zeros(0, 2, 1, 1)
    assert patches.gathered(x, weight, None, (1, 1), (1, 1), (0, 0)).shape == (0, 2, 1, 1)
    assert patches.scattered(g, weight, None, (4, 4), (1, 1), (0, 0)).shape == x.shape
    assert not patches.correlated(g, x, (4, 4), (1, 1), (0, 0)).any()


def test_in_bfloat16_sums_are_not_rounded_at_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is rounded twice, each product and their sum, is so by at most twice of what torch rounds."""
    geometry = Geometry((1, 1), (1, 1), (1, 1), False, (0, 0), 1)
    x, weight, g = (
        each.bfloat16()
        for each in (normal(8, 32, 4, 4), normal(2048, 32, 3, 3, seed=1), normal(8, 2048, 4, 4))
    )
    monkeypatch.setattr(patches, "PART", 0)
    monkeypatch.setattr(patches, "MIN_PATCHES", 1)  # an image at a time, so that there is something to add up
    monkeypatch.setattr("ganforge.engine.kernels.convolution.HEAVY", 0)

    def three(x: Tensor, weight: Tensor, g: Tensor) -> list[Tensor]:
        return [
            value(x, weight, None, geometry),
            input_gradient(g, weight, x, geometry),
            weight_gradient(g, x, weight, geometry),
        ]

    ours = three(x, weight, g)
    with convolutions_by_torch():
        torchs, exact = three(x, weight, g), three(x.double(), weight.double(), g.double())
    for mine, theirs, true in zip(ours, torchs, exact, strict=True):
        assert mine.dtype == torch.bfloat16
        assert (mine - true).norm() < 2 * (theirs - true).norm()
