"""im2col: convolutions as matrix products over the image patches that a kernel sees.

Everything is channels-last internally, so that a patch is copied in runs of whole rows, and the weight
matrix is the weights as stored. `small` [N, O, h, w] is the result of a convolution of `large`
[N, C, H, W] with `weight` [O, C, a, b], or has its shape. Nothing here is recorded by autograd, and
shapes must match: see `convolution.geometry_of`.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

Pair = Sequence[int]
"""Of height and width."""
THIN = 8
"""Number of channels below which one image plane at a time is summed."""
PART = 8 * 2**20
"""Approximate bytes of patches at a time: more would need memory, and exceed every cache."""
MIN_PATCHES = 512
"""Minimum patches at a time, however long they are: the weights are read once for all of these."""


class Scratch(threading.local):
    """Memory for patches, reused from one product to the next: repeated allocation of blocks of this size
    would fragment the heap."""

    def __init__(self) -> None:
        self.kept: dict[torch.dtype, Tensor] = {}

    def take(self, like: Tensor, shape: Sequence[int]) -> Tensor:
        """A tensor of that shape with arbitrary content, valid until the next one is taken."""
        needed = math.prod(shape)
        kept = self.kept.get(like.dtype)
        if kept is None or kept.numel() < needed:
            with torch.inference_mode(False):  # an inference tensor could not be used in training
                kept = self.kept[like.dtype] = torch.empty(needed, dtype=like.dtype, device=like.device)
        return kept[:needed].view(*shape)


SCRATCH = Scratch()


def gathered(
    large: Tensor, weight: Tensor, bias: Tensor | None, size: Pair, stride: Pair, padding: Pair
) -> Tensor:
    """The convolution, [N, O, h, w] with `size` (h, w), and `bias` [O]."""
    small = _empty(large, (len(large), len(weight), *size))  # [N, O, h, w]
    kernel = _matrix(weight).t()  # [a b C, O]
    for some in _parts(len(large), math.prod(size), len(kernel) * kernel.element_size()):
        rows = _patches(large[some], weight.shape[2:], stride, padding)  # [n h w, a b C]
        result = _pixels(small[some])  # [n h w, O]
        if bias is None:
            torch.mm(rows, kernel, out=result)  # [n h w, O]
        else:
            torch.addmm(bias, rows, kernel, out=result)
    return small


def correlated(small: Tensor, large: Tensor, kernel: Pair, stride: Pair, padding: Pair) -> Tensor:
    """The gradient of the weights, [O, C, a, b]; `small` is that of the result."""
    shape = (small.shape[1], large.shape[1], *kernel)
    parts = list(_parts(len(large), math.prod(small.shape[2:]), math.prod(shape[1:]) * large.element_size()))
    # A single product needs no sum, and rounds only once.
    total = _empty(large, shape, large.dtype if len(parts) == 1 else _sums(large.dtype))
    matrix = _matrix(total)
    if total.dtype != large.dtype:
        total.zero_()
    for some in parts:
        one = _pixels(small[some]).t()  # [O, n h w]
        other = _patches(large[some], kernel, stride, padding)  # [n h w, a b C]
        if total.dtype == large.dtype:
            torch.addmm(matrix, one, other, beta=int(some.start > 0), out=matrix)  # [O, a b C]
        else:
            matrix += one.mm(other)
    return total.to(large.dtype)


def scattered(
    small: Tensor, weight: Tensor, bias: Tensor | None, size: Pair, stride: Pair, padding: Pair
) -> Tensor:
    """The gradient of images of `size` (H, W), [N, C, H, W]; `small` is that of the result: the transposed
    convolution, with `bias` [C]."""
    (_, channels, *kernel), (h, w) = weight.shape, small.shape[2:]
    large, matrix = _empty(small, (len(small), channels, *size)), _matrix(weight)
    whole = h == w == 1 and list(size) == kernel and not any(padding)
    for some in _parts(len(small), h * w, matrix.shape[1] * matrix.element_size()):
        images = large[some]
        if whole:
            torch.mm(_pixels(small[some]), matrix, out=_matrix(images))  # [n, O] -> [n, H W C]
        elif channels < THIN:
            # Planes [C, N, H, W], so that the innermost dimension is long.
            columns = SCRATCH.take(images, (*kernel, channels, len(images), h, w))  # [a, b, C, n, h, w]
            # [a b C, O] @ [O, n h w] -> [a b C, n h w]
            torch.mm(matrix.t(), _pixels(small[some]).t(), out=columns.flatten(0, 2).flatten(1))
            # [C, n, H, W]
            planes = images.new_zeros(channels, len(images), *size, dtype=_sums(images.dtype))
            _add_up(columns.permute(3, 4, 5, 0, 1, 2), planes.permute(1, 2, 3, 0), stride, padding)
            images.copy_(planes.transpose(0, 1))  # [n, C, H, W]
        else:
            columns = SCRATCH.take(images, (len(images), h, w, *kernel, channels))  # [n, h, w, a, b, C]
            # [n h w, O] @ [O, a b C] -> [n h w, a b C]
            torch.mm(_pixels(small[some]), matrix, out=columns.flatten(0, 2).flatten(1))
            sums = images.zero_().to(_sums(images.dtype))  # `images` itself, if that is their type
            _add_up(columns, sums.permute(0, 2, 3, 1), stride, padding)
            if sums is not images:
                images.copy_(sums)
    return large if bias is None else large.add_(bias[:, None, None])


def _parts(images: int, patches: int, size: int) -> Iterator[slice]:
    """Slices of images, each of at most `most` patches [a b C] of `size` bytes."""
    most = max(MIN_PATCHES, PART // size)
    parts = max(1, min(images, math.ceil(images * patches / most)))
    for part in range(parts):
        yield slice(part * images // parts, (part + 1) * images // parts)


def _sums(dtype: torch.dtype) -> torch.dtype:
    """The type in which numbers of `dtype` are accumulated: float32 for bfloat16."""
    return torch.float32 if dtype == torch.bfloat16 else dtype


def _empty(like: Tensor, shape: Sequence[int], dtype: torch.dtype | None = None) -> Tensor:
    """[N, C, H, W], channels-last: not a view of anything, since it is changed in place."""
    return torch.empty(
        shape, dtype=dtype or like.dtype, device=like.device, memory_format=torch.channels_last
    )


def _add_up(columns: Tensor, images: Tensor, stride: Pair, padding: Pair) -> None:
    """col2im: adds to `images` [N, H, W, C] the `columns` [N, h, w, a, b, C], each to the pixel it was
    taken from."""
    _, h, w, *kernel, _ = columns.shape
    for a in range(kernel[0]):
        from_rows, to_rows = _overlap(h, images.shape[1], a, stride[0], padding[0])
        for b in range(kernel[1]):
            from_columns, to_columns = _overlap(w, images.shape[2], b, stride[1], padding[1])
            images[:, to_rows, to_columns].add_(columns[:, from_rows, from_columns, a, b])


def _overlap(small: int, large: int, offset: int, stride: int, padding: int) -> tuple[slice, slice]:
    """The pixels along one side that an offset of the kernel connects, excluding the padding."""
    shift = offset - padding
    first = max(0, -(shift // stride))
    last = min(small, (large - 1 - shift) // stride + 1)
    if last <= first:
        return slice(0), slice(0)
    return slice(first, last), slice(first * stride + shift, (last - 1) * stride + shift + 1, stride)


def _patches(large: Tensor, kernel: Pair, stride: Pair, padding: Pair) -> Tensor:
    """im2col: [N, C, H, W] -> [N h w, a b C]."""
    images = large.permute(0, 2, 3, 1)  # [N, H, W, C]
    if any(padding):
        # [N, H + 2p, W + 2p, C]
        images = F.pad(images, (0, 0, padding[1], padding[1], padding[0], padding[0]))
    # [N, h, w, C, a, b]
    seen = images.contiguous().unfold(1, kernel[0], stride[0]).unfold(2, kernel[1], stride[1])
    seen = seen.permute(0, 1, 2, 4, 5, 3)  # [N, h, w, a, b, C]
    rows = seen if math.prod(seen.shape[1:3]) == 1 else SCRATCH.take(large, seen.shape).copy_(seen)
    return rows.flatten(3).flatten(0, 2)  # [N h w, a b C]


def _pixels(images: Tensor) -> Tensor:
    """[N, C, H, W] as [N H W, C]; a view where the channels are last."""
    return images.permute(0, 2, 3, 1).flatten(0, 2)


def _matrix(weight: Tensor) -> Tensor:
    """[O, C, a, b] as [O, a b C]; a view where the channels are last."""
    return weight.permute(0, 2, 3, 1).flatten(1)
