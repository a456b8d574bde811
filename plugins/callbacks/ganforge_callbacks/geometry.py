"""Geometric augmentations as one matrix per image, applied without aliasing.

Training Generative Adversarial Networks with Limited Data (Karras et al., 2020), arXiv:2006.06676,
appendix B: the image is doubled in size by the orthogonal wavelet filter sym6, sampled bilinearly, and
halved by the same filter. Where nothing is moved this is the identity, as the filter is orthogonal to its
own shifts by two. Beyond its edges an image is continued by its mirror image.

Coordinates are pixels, (0, 0) the center of the top left one; a matrix [N, 3, 3] maps homogeneous (x, y, 1).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ganforge_callbacks.precision import full_precision

SYM6 = (
    0.015404109327027373,
    0.0034907120842174702,
    -0.11799011114819057,
    -0.048311742585633,
    0.4910559419267466,
    0.787641141030194,
    0.3379294217276218,
    -0.07263752278646252,
    -0.021060292512300564,
    0.04472490177066578,
    0.0017677118642428036,
    -0.007800708325034148,
)
"""Low-pass filter of Daubechies' least asymmetric wavelet of order 6 (Ten Lectures on Wavelets, 1992)."""
TAPS = len(SYM6)
CENTER = sum(n * tap for n, tap in enumerate(SYM6)) / sum(SYM6)
"""Where the filter's weight lies, in taps: half a pixel each."""
SLACK = 2
"""Samples of the doubled image beyond those that the halved one needs, for rounding."""


def warp(x: Tensor, inverse: Tensor) -> Tensor:
    """x [N, C, H, W] moved so that an output pixel at p shows what lies at `inverse` p [N, 3, 3] in x.

    In the precision of x, also under autocast; differentiable any number of times with respect to x.
    """
    with full_precision(x):
        high, wide = (_double(size, x) for size in x.shape[2:])  # [2H + 14, H], [2W + 14, W]
        doubled = high @ x @ wide.T  # [N, C, 2H + 14, 2W + 14]
        moved = _sampled(doubled, inverse.to(x.dtype), x.shape[2:])  # [N, C, 2H + 10, 2W + 10]
        high, wide = (_halve(size, x) for size in x.shape[2:])  # [H, 2H + 10], [W, 2W + 10]
        return high @ moved @ wide.T


def _double(size: int, like: Tensor) -> Tensor:
    """[2 size + 14, size]: sample k of the doubled line, k from -2, as weights on the pixels."""
    k = torch.arange(-SLACK, 2 * size + TAPS - 2 + SLACK, device=like.device)
    pixel = torch.arange(-TAPS // 2, size + TAPS // 2, device=like.device)
    weights = math.sqrt(2) * _filter(k[:, None] - 2 * pixel, like)  # [L, size + 12]
    matrix = torch.zeros(len(k), size, dtype=like.dtype, device=like.device)
    return matrix.index_add(1, _mirrored(pixel, size), weights)


def _halve(size: int, like: Tensor) -> Tensor:
    """[size, 2 size + 10]: each pixel as weights on the doubled line, k from 0."""
    k = torch.arange(2 * size + TAPS - 2, device=like.device)
    pixel = torch.arange(size, device=like.device)
    return _filter(k - 2 * pixel[:, None], like) / math.sqrt(2)


def _filter(n: Tensor, like: Tensor) -> Tensor:
    """The filter's tap n, 0 outside of it; n of any shape."""
    found = torch.zeros(n.shape, dtype=like.dtype, device=like.device)
    for place, tap in enumerate(SYM6):
        found += tap * (n == place)
    return found


def _mirrored(pixel: Tensor, size: int) -> Tensor:
    """Pixels of the line continued by its mirror image -> those of the line, 0 to size - 1."""
    within = pixel.remainder(2 * size)
    return torch.minimum(within, 2 * size - 1 - within)


def _sampled(doubled: Tensor, inverse: Tensor, sides: torch.Size) -> Tensor:
    """The doubled image [N, C, 2H + 14, 2W + 14] at the places that the output's samples come from,
    bilinearly: [N, C, 2H + 10, 2W + 10]."""
    y, x = (
        (torch.arange(2 * side + TAPS - 2, device=doubled.device, dtype=doubled.dtype) - CENTER) / 2
        for side in sides
    )
    a = inverse[:, :, :, None, None]  # [N, 3, 3, 1, 1]
    column = _places(a[:, 0, 0] * x + (a[:, 0, 1] * y[:, None] + a[:, 0, 2]), sides[1])
    row = _places(a[:, 1, 0] * x + (a[:, 1, 1] * y[:, None] + a[:, 1, 2]), sides[0])
    # torch has no deterministic kernel on a GPU for the gradient of its own sampling.
    exact = doubled.is_cuda and torch.are_deterministic_algorithms_enabled()
    return gathered(doubled, row, column) if exact else bilinear(doubled, row, column)


def _places(pixel: Tensor, size: int) -> Tensor:
    """Coordinates along a line of `size` pixels -> those in its doubled form, from 0."""
    doubled = pixel * 2 + (CENTER + SLACK)
    # Mirrored only where the doubled image does not reach, so that what is not moved stays exact.
    within = (pixel + 0.5).remainder(2 * size)
    inside = torch.minimum(within, 2 * size - within) * 2 + (CENTER + SLACK - 1)
    known = (doubled >= 1) & (doubled <= 2 * size + TAPS - 4 + 2 * SLACK)
    return torch.where(known, doubled, inside)


def bilinear(image: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """image [N, C, H, W] at rows and columns [N, h, w] within it: [N, C, h, w]."""
    height, width = image.shape[2:]
    grid = torch.stack([column * (2 / (width - 1)) - 1, row * (2 / (height - 1)) - 1], dim=3)
    sampled: Tensor = _Sample.apply(image, grid)
    return sampled


def gathered(image: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """The same from four pixels each: slower, and deterministic on every device."""
    n, channels, height, width = image.shape
    top, left = row.floor().clamp(0, height - 2), column.floor().clamp(0, width - 2)
    down, right = row - top, column - left
    first = torch.arange(n, device=image.device)[:, None, None] * (height * width)
    corner = first + top.long() * width + left.long()  # [N, h, w]
    pixels = image.permute(0, 2, 3, 1).reshape(-1, channels)  # [N H W, C]
    total = torch.zeros((), dtype=image.dtype, device=image.device)
    for i, row_share in enumerate((1 - down, down)):
        for j, column_share in enumerate((1 - right, right)):
            found = pixels.index_select(0, (corner + i * width + j).flatten())
            total = total + found * (row_share * column_share).reshape(-1, 1)
    return total.reshape(*row.shape, channels).permute(0, 3, 1, 2)


HOW = (0, 1, True)
"""torch's numbers for bilinear interpolation, clamped at the border, corners aligned."""


class _Sample(torch.autograd.Function):
    """torch's sampling, which is linear in the image; differentiable more than once, as torch's is not."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, grid: Tensor) -> Tensor:
        ctx.save_for_backward(grid)
        ctx.shape = image.shape
        sampled: Tensor = torch.ops.aten.grid_sampler_2d(image, grid, *HOW)
        return sampled

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (grid,) = ctx.saved_tensors
        return _Spread.apply(gradient, grid, ctx.shape), None


class _Spread(torch.autograd.Function):
    """The transpose of `_Sample`."""

    @staticmethod
    def forward(ctx: Any, samples: Tensor, grid: Tensor, shape: torch.Size) -> Tensor:
        ctx.save_for_backward(grid)
        # Of the image only the size counts.
        image = samples.new_zeros(()).expand(shape)
        spread: Tensor = torch.ops.aten.grid_sampler_2d_backward(samples, image, grid, *HOW, [True, False])[0]
        return spread

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (grid,) = ctx.saved_tensors
        return _Sample.apply(gradient, grid), None, None
