"""Images made of images, to be conditions: uint8 [n, C, H, W] -> uint8 [n, C', H', W'].

All in whole numbers, so that every processor makes the same bytes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

LUMA = (299, 587, 114)
"""Thousandths of red, green and blue in a grey (ITU-R BT.601)."""
GREY = 128
"""What a hole is filled with."""


def grey(images: Tensor) -> Tensor:
    """One channel; the mean of the channels where these are not red, green and blue."""
    channels = images.shape[1]
    if channels == 1:
        return images
    shares = LUMA if channels == 3 else (1,) * channels
    weights = torch.tensor(shares, device=images.device).view(1, -1, 1, 1)
    whole = sum(shares)
    return (((images.long() * weights).sum(1, keepdim=True) + whole // 2) // whole).to(torch.uint8)


def edges(images: Tensor) -> Tensor:
    """The length of Sobel's gradient of the grey image, a quarter of it, at most 255; borders repeat."""
    levels = F.pad(grey(images).float(), (1, 1, 1, 1), mode="replicate").long()
    smooth_down = levels[:, :, :-2] + 2 * levels[:, :, 1:-1] + levels[:, :, 2:]
    smooth_across = levels[..., :-2] + 2 * levels[..., 1:-1] + levels[..., 2:]
    across = smooth_down[..., 2:] - smooth_down[..., :-2]
    down = smooth_across[:, :, 2:] - smooth_across[:, :, :-2]
    # Of whole numbers below 2^24, of which the root is rounded as IEEE 754 says.
    length = (across.square() + down.square()).float().sqrt()
    return (length / 4).clamp(max=255).to(torch.uint8)


def outline(images: Tensor) -> Tensor:
    """What is bright, grown by a pixel all around, less what is bright: a line around each bright shape."""
    levels = grey(images)
    # Pooled as floats: not every device pools bytes, and these are whole numbers either way.
    grown = F.max_pool2d(levels.float(), 3, stride=1, padding=1)
    return (grown - levels.float()).to(torch.uint8)


def low(images: Tensor, factor: int) -> Tensor:
    """The mean over each square of `factor` pixels a side, halves upwards."""
    n, channels, height, width = images.shape
    squares = images.long().view(n, channels, height // factor, factor, width // factor, factor)
    total = squares.sum(dim=(3, 5))
    return ((total + factor**2 // 2) // factor**2).to(torch.uint8)


def hole(images: Tensor) -> Tensor:
    """The image with a grey rectangle of half of each side in its middle."""
    height, width = images.shape[2:]
    top, left = height // 4, width // 4
    holed = images.clone()
    holed[:, :, top : top + height // 2, left : left + width // 2] = GREY
    return holed
