"""Random flips and shifts of images while they are still uint8: a quarter of the size of float32."""

from __future__ import annotations

import torch
from torch import Tensor


def views(images: Tensor, flips: Tensor | None, moves: Tensor | None) -> Tensor:
    """`images` [N, C, H, W], those with `flips` [N] left to right, and shifted by `moves` [N, 2] pixels down
    and right. The uncovered border is filled by reflect padding; so a shift must be smaller than the
    image."""
    height, width = images.shape[2:]
    if moves is not None:
        down, right = moves.unbind(1)
        images = images.gather(2, _source(height, down)[:, None, :, None].expand_as(images))
        columns = _source(width, right)
    elif flips is not None:
        columns = torch.arange(width, device=images.device).expand(len(images), width)
    else:
        return images
    if flips is not None:
        columns = torch.where(flips[:, None], columns.flip(1), columns)
    return images.gather(3, columns[:, None, None, :].expand_as(images))


def _source(side: int, moves: Tensor) -> Tensor:
    """For each image, the source of each pixel along a side: int64 [N, side]."""
    index = (torch.arange(side, device=moves.device) - moves[:, None]).abs()
    return torch.where(index < side, index, 2 * (side - 1) - index)
