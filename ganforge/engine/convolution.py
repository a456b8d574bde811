"""The three operations that every derivative of a convolution is made of.

    y = C(x, w)        the convolution
    x' = X(g, w)       the gradient of <g, C(x, w)> with respect to x
    w' = W(g, x)       the same with respect to w

Each is linear in either of its two arguments, so <g, C(x, w)> = <X(g, w), x> = <W(g, x), w>, and the
derivatives of each are the other two. A transposed convolution has X for its C, and C for its X.

They are torch's own kernels, or matrix products over patches where these are faster. On the CPU torch
goes through all the weights for one image after the other, and where an image has few pixels left the
weights come from memory more often than they are used; and it computes gradients of 1 or 3 channels as
if they were 16.
"""

from __future__ import annotations

import contextlib
import math
import operator
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ganforge.engine import patches

SMALL = 16
"""Pixels of an output, to which products may be faster."""
HEAVY = 64 * 2**10
"""Weights for each pixel of an output, from which torch waits for memory."""
FEW, MANY = 4, 8
"""Channels of images whose gradient is faster by products; how many times as many the other side needs."""


_only_torch = False


class Geometry(NamedTuple):
    """What `aten::convolution` takes after input, weight and bias."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    transposed: bool
    output_padding: tuple[int, ...]
    groups: int


@contextlib.contextmanager
def convolutions_by_torch() -> Iterator[None]:
    """In it, all are torch's, as they are on a GPU."""
    global _only_torch
    before, _only_torch = _only_torch, True
    try:
        yield
    finally:
        _only_torch = before


def value(x: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry) -> Tensor:
    """C(x, w) + b, all as `aten::convolution` takes and gives them."""
    if geometry.transposed:
        if _scatters(weight, x.shape[2:], weight.dtype) and _plain(geometry, x, weight):
            size = _larger(x, weight, geometry)
            return patches.scattered(x, weight, bias, size, geometry.stride, geometry.padding)
    elif _gathers(weight, _smaller(x, weight, geometry), weight.dtype) and _plain(geometry, x, weight):
        return patches.gathered(x, weight, bias, geometry.stride, geometry.padding)
    return torch.ops.aten.convolution(x, weight, bias, *geometry)  # type: ignore[no-any-return]


def input_gradient(g: Tensor, weight: Tensor, x: Tensor, geometry: Geometry) -> Tensor:
    """X(g, w); of `x` only the form is read."""
    if geometry.transposed:
        if _gathers(weight, x.shape[2:], weight.dtype) and _plain(geometry, g, weight):
            return patches.gathered(g, weight, None, geometry.stride, geometry.padding)
    elif _scatters(weight, g.shape[2:], weight.dtype) and _plain(geometry, g, weight):
        return patches.scattered(g, weight, None, x.shape[2:], geometry.stride, geometry.padding)
    return _gradients(g, x, weight, geometry, [True, False, False])[0]


def weight_gradient(g: Tensor, x: Tensor, weight: Tensor, geometry: Geometry) -> Tensor:
    """W(g, x); of `weight` only the form is read."""
    small, large = (x, g) if geometry.transposed else (g, x)
    if _gathers(weight, small.shape[2:], weight.dtype) and _plain(geometry, g, x):
        return patches.correlated(small, large, weight.shape[2:], geometry.stride, geometry.padding)
    return _gradients(g, x, weight, geometry, [False, True, False])[1]


def by_products(x: Tensor, weight: Tensor, geometry: Geometry, dtype: torch.dtype | None = None) -> bool:
    """Whether any of the three is ours, with both cast to `dtype` if it is given. What does not fit is
    left to torch, which says why."""
    if dtype is None and x.dtype != weight.dtype:
        return False
    fits = x.shape[1] == weight.shape[0 if geometry.transposed else 1]
    sound = min(geometry.stride) > 0 and min(geometry.padding) >= 0
    if not (fits and sound and all(map(operator.lt, geometry.output_padding, geometry.stride))):
        return False
    smaller = x.shape[2:] if geometry.transposed else _smaller(x, weight, geometry)
    # What gathers scatters, too.
    return (
        min(smaller) > 0 and _scatters(weight, smaller, dtype or weight.dtype) and _plain(geometry, x, weight)
    )


def _gathers(weight: Tensor, smaller: Sequence[int], dtype: torch.dtype) -> bool:
    """Whether patches of the larger images are multiplied; `smaller` is the size of the others."""
    pixels = math.prod(smaller)
    heavy = pixels == 1 or (pixels <= SMALL and weight.numel() >= HEAVY * pixels)
    return heavy and dtype in (torch.float32, torch.float64, torch.bfloat16)


def _scatters(weight: Tensor, smaller: Sequence[int], dtype: torch.dtype) -> bool:
    """Whether products are added up in the larger images."""
    others, channels = weight.shape[:2]
    thin = channels <= FEW and others >= MANY * channels and dtype in (torch.float32, torch.float64)
    return thin or _gathers(weight, smaller, dtype)


def _plain(geometry: Geometry, *tensors: Tensor) -> bool:
    """Whether a matrix product says it all: on a CPU, nothing spread or in groups, and not many at once,
    as `is_grads_batched` has them."""
    return (
        not _only_torch
        and set(geometry.dilation) == {1}
        and geometry.groups == 1
        and all(each.device.type == "cpu" for each in tensors)
        and not any("Batched" in repr(torch._C._dispatch_keys(each)) for each in tensors)
    )


def _smaller(x: Tensor, weight: Tensor, geometry: Geometry) -> tuple[int, ...]:
    """Height and width of the result of a convolution."""
    sides = zip(x.shape[2:], weight.shape[2:], geometry.stride, geometry.padding, strict=True)
    return tuple((side + 2 * pad - kernel) // step + 1 for side, kernel, step, pad in sides)


def _larger(x: Tensor, weight: Tensor, geometry: Geometry) -> tuple[int, ...]:
    """The same of a transposed one."""
    sides = zip(
        x.shape[2:],
        weight.shape[2:],
        geometry.stride,
        geometry.padding,
        geometry.output_padding,
        strict=True,
    )
    return tuple((side - 1) * step - 2 * pad + kernel + more for side, kernel, step, pad, more in sides)


def _gradients(g: Tensor, x: Tensor, weight: Tensor, geometry: Geometry, wanted: list[bool]) -> list[Tensor]:
    """Torch's own gradients of input, weight and bias: those that are wanted."""
    return torch.ops.aten.convolution_backward(  # type: ignore[no-any-return]
        g, x, weight, None, *geometry, wanted
    )
