"""Resampling by 2 with the filter [1, 3, 3, 1], images continued by zeros.

Analyzing and Improving the Image Quality of StyleGAN (Karras et al., 2020), arXiv:1912.04958, appendix B:
the input of strided convolutions and the output of transposed ones is filtered. The kernel is computed on the
device, so that an update can be recorded.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def downsampled(x: Tensor, padding: int, stride: int = 1) -> Tensor:
    """x [N, C, H, W] filtered, every `stride`-th pixel kept: sides (H + 2 padding - 4) / stride + 1, rounded
    down."""
    return _filtered(x, padding, stride, 1.0)


def smoothed(x: Tensor) -> Tensor:
    """What a transposed convolution has made: [N, C, 2H + 1, 2W + 1] -> [N, C, 2H, 2W], times 4, as three of
    four of its inputs are zeros."""
    return _filtered(x, 1, 1, 4.0)


def upsampled(x: Tensor) -> Tensor:
    """x [N, C, H, W] -> [N, C, 2H, 2W], each pixel from the 2x2 nearest to it."""
    return F.conv_transpose2d(x, _kernels(x, 4.0), stride=2, padding=1, groups=x.shape[1])


def _filtered(x: Tensor, padding: int, stride: int, total: float) -> Tensor:
    return F.conv2d(x, _kernels(x, total), stride=stride, padding=padding, groups=x.shape[1])


def _kernels(x: Tensor, total: float) -> Tensor:
    """The filter along both axes, with this sum, once a channel: [C, 1, 4, 4]."""
    distance = torch.arange(-1.5, 2, 1, device=x.device, dtype=x.dtype).abs()  # 1.5, 0.5, 0.5, 1.5
    taps = 4 - 2 * distance  # 1, 3, 3, 1
    return (taps[:, None] * taps * (total / 64)).expand(x.shape[1], 1, 4, 4)
