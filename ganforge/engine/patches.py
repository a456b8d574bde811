"""Convolutions as products of matrices, over the patches of images that a kernel sees.

Everything has its channels last inside, so that a patch is copied in runs of whole rows, and the
matrix of the weights is the weights as they lie in memory. `small` [N, O, h, w] is the result of a
convolution of `large` [N, C, H, W] with `weight` [O, C, a, b], or is of its form. Nothing here is
recorded by autograd; where something does not fit, torch raises `RuntimeError`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

Pair = Sequence[int]
"""Of height and width."""
THIN = 8
"""Channels below which a plane of images at a time is added up."""


def gathered(large: Tensor, weight: Tensor, bias: Tensor | None, stride: Pair, padding: Pair) -> Tensor:
    """The convolution, [N, O, h, w], with `bias` [O]."""
    rows, (n, h, w) = _patches(large, weight.shape[2:], stride, padding)
    small, kernel = _empty(large, (n, len(weight), h, w)), _matrix(weight).t()
    if bias is None:
        torch.mm(rows, kernel, out=_pixels(small))
    else:
        torch.addmm(bias, rows, kernel, out=_pixels(small))
    return small


def correlated(small: Tensor, large: Tensor, kernel: Pair, stride: Pair, padding: Pair) -> Tensor:
    """The gradient of the weights, [O, C, a, b], `small` being that of the result."""
    rows, _ = _patches(large, kernel, stride, padding)
    weight = _empty(large, (small.shape[1], large.shape[1], *kernel))
    torch.mm(_pixels(small).t(), rows, out=_matrix(weight))
    return weight


def scattered(
    small: Tensor, weight: Tensor, bias: Tensor | None, size: Pair, stride: Pair, padding: Pair
) -> Tensor:
    """The gradient of images of `size` (H, W), [N, C, H, W], `small` being that of the result: the
    transposed convolution, with `bias` [C]."""
    (n, _, h, w), (_, channels, *kernel) = small.shape, weight.shape
    if h == w == 1 and list(size) == kernel and not any(padding):
        large = _empty(small, (n, channels, *size))
        torch.mm(_pixels(small), _matrix(weight), out=_matrix(large))
    elif channels < THIN:
        # Planes [C, N, H, W], so that the innermost dimension is long.
        product = _matrix(weight).t().mm(_pixels(small).t()).view(*kernel, channels, n, h, w)
        planes = small.new_zeros(channels, n, *size)
        _add_up(product.permute(3, 4, 5, 0, 1, 2), planes.permute(1, 2, 3, 0), stride, padding)
        large = planes.transpose(0, 1).clone(memory_format=torch.channels_last)
    else:
        product = _pixels(small).mm(_matrix(weight)).view(n, h, w, *kernel, channels)
        large = _empty(small, (n, channels, *size)).zero_()
        _add_up(product, large.permute(0, 2, 3, 1), stride, padding)
    return large if bias is None else large.add_(bias[:, None, None])


def _empty(like: Tensor, shape: Sequence[int]) -> Tensor:
    """[N, C, H, W], with the channels last: no view of anything, as what is changed in place must be."""
    return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=torch.channels_last)


def _add_up(columns: Tensor, images: Tensor, stride: Pair, padding: Pair) -> None:
    """Adds to `images` [N, H, W, C] the `columns` [N, h, w, a, b, C], each pixel of them to all that it
    was computed from."""
    _, h, w, *kernel, _ = columns.shape
    for a in range(kernel[0]):
        from_rows, to_rows = _meeting(h, images.shape[1], a, stride[0], padding[0])
        for b in range(kernel[1]):
            from_columns, to_columns = _meeting(w, images.shape[2], b, stride[1], padding[1])
            images[:, to_rows, to_columns] += columns[:, from_rows, from_columns, a, b]


def _meeting(small: int, large: int, offset: int, stride: int, padding: int) -> tuple[slice, slice]:
    """The pixels along one side that meet at an offset of the kernel, those in the padding left out."""
    shift = offset - padding
    first = max(0, -(shift // stride))
    last = min(small, (large - 1 - shift) // stride + 1)
    if last <= first:
        return slice(0), slice(0)
    return slice(first, last), slice(first * stride + shift, (last - 1) * stride + shift + 1, stride)


def _patches(large: Tensor, kernel: Pair, stride: Pair, padding: Pair) -> tuple[Tensor, tuple[int, int, int]]:
    """[N h w, a b C], and N, h and w."""
    images = large.permute(0, 2, 3, 1)
    if any(padding):
        images = F.pad(images, (0, 0, padding[1], padding[1], padding[0], padding[0]))
    seen = images.contiguous().unfold(1, kernel[0], stride[0]).unfold(2, kernel[1], stride[1])
    n, h, w = seen.shape[:3]
    return seen.permute(0, 1, 2, 4, 5, 3).reshape(n * h * w, -1), (n, h, w)


def _pixels(images: Tensor) -> Tensor:
    """[N, C, H, W] as [N H W, C]; a view where the channels are last."""
    return images.permute(0, 2, 3, 1).reshape(-1, images.shape[1])


def _matrix(weight: Tensor) -> Tensor:
    """[O, C, a, b] as [O, a b C]; a view where the channels are last."""
    return weight.permute(0, 2, 3, 1).reshape(len(weight), -1)
