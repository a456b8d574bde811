"""The three operations that every derivative of a convolution is made of.

    y = C(x, w)        the convolution
    x' = X(g, w)       the gradient of <g, C(x, w)> with respect to x
    w' = W(g, x)       the same with respect to w

Each is linear in either of its two arguments, so <g, C(x, w)> = <X(g, w), x> = <W(g, x), w>, and the
derivatives of each are the other two. A transposed convolution has X for its C, and C for its X.

They are torch's own kernels, or matrix products over im2col patches where these are faster. On the CPU
torch iterates over all the weights for one image after another; where few pixels per image are left, the
weights are loaded from memory more often than they are used; and it computes gradients for 16 channels at
a time, of which an image has 1 or 3.
"""

from __future__ import annotations

import contextlib
import math
import operator
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor

from ganforge.engine.kernels import im2col as patches

SMALL = 16
"""Maximum pixels of an output for which products may be faster."""
HEAVY = 64 * 2**10
"""Weights per pixel of an output above which torch is bound by memory."""
MAX_CHANNELS, MIN_RATIO = 4, 8
"""Channels of images whose gradient is faster by products; and the minimum ratio of the other side's."""
ROWS = 9
"""Minimum weights in such an image's patch: as many as a 3x3 kernel has; below, a product is slow."""
ROOM = 16 * 2**20
"""Maximum bytes of the patches of one image; above, the memory is not worth it."""


def _is_intel() -> bool:
    try:
        return "GenuineIntel" in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "Intel" in platform.processor()


FAST_PRODUCTS = _is_intel()
"""Whether matrix products beat torch's convolutions where neither is bound by memory. MKL reserves its
best kernels for Intel's processors; elsewhere only the gradient of the weights gains."""

PLAIN = (Tensor, torch.nn.Parameter, FakeTensor)
"""Types that are plain numbers in memory, or stand for them where operations are only counted."""

_only_torch = False


class Geometry(NamedTuple):
    """Arguments of `aten::convolution` after input, weight and bias."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    transposed: bool
    output_padding: tuple[int, ...]
    groups: int


@contextlib.contextmanager
def convolutions_by_torch() -> Iterator[None]:
    """In it, all convolutions are torch's, as on a GPU."""
    global _only_torch
    before, _only_torch = _only_torch, True
    try:
        yield
    finally:
        _only_torch = before


def geometry_of(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
    output_padding: Any = None,
) -> Geometry | None:
    """The requested geometry; None if it is left to torch, which may support it or explain why not:
    anything but plain images and matching weights. With `output_padding` it is transposed."""
    pairs = [_pair(each) for each in (stride, padding, dilation, output_padding or 0)]
    tensors = [x, weight, *([] if bias is None else [bias])]
    if None in pairs or x.ndim != 4 or weight.ndim != 4 or not all(map(_is_plain, tensors)):
        return None
    transposed = output_padding is not None
    geometry = Geometry(pairs[0], pairs[1], pairs[2], transposed, pairs[3], groups)  # type: ignore[arg-type]
    ends = (weight.shape[1] * groups, weight.shape[0])
    given, channels = reversed(ends) if transposed else ends
    fits = x.shape[1] == given and (bias is None or bias.shape == (channels,)) and given * channels > 0
    sound = min(*geometry.stride, *geometry.dilation) > 0 and min(geometry.padding) >= 0
    within = all(map(operator.lt, geometry.output_padding, geometry.stride))
    if not (fits and sound and within and min(_result(x, weight, geometry)) > 0):
        return None
    return geometry


def value(x: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry) -> Tensor:
    """C(x, w) + b, with the arguments and result of `aten::convolution`."""
    if not _ours(x, weight, geometry, scatters=geometry.transposed):
        return torch.ops.aten.convolution(x, weight, bias, *geometry)  # type: ignore[no-any-return]
    product = patches.scattered if geometry.transposed else patches.gathered
    # [N, O, h, w]; transposed: [N, C, H, W]
    result = product(x, weight, bias, _result(x, weight, geometry), geometry.stride, geometry.padding)
    return result if _channels_last(x) or _channels_last(weight) else result.contiguous()


def input_gradient(g: Tensor, weight: Tensor, x: Tensor, geometry: Geometry) -> Tensor:
    """X(g, w); of `x` only the shape and memory format are used."""
    if not (are_single(g, weight) and _ours(x, weight, geometry, scatters=not geometry.transposed)):
        return _gradients(g, x, weight, geometry, [True, False, False])[0]
    product = patches.gathered if geometry.transposed else patches.scattered
    return product(g, weight, None, x.shape[2:], geometry.stride, geometry.padding)  # like x


def weight_gradient(g: Tensor, x: Tensor, weight: Tensor, geometry: Geometry) -> Tensor:
    """W(g, x); of `weight` only the shape and memory format are used."""
    if not (are_single(g, x) and _ours(x, weight, geometry, scatters=False, of_weights=True)):
        return _gradients(g, x, weight, geometry, [False, True, False])[1]
    small, large = (x, g) if geometry.transposed else (g, x)
    return patches.correlated(small, large, weight.shape[2:], geometry.stride, geometry.padding)  # like w


def by_products(x: Tensor, weight: Tensor, geometry: Geometry, dtype: torch.dtype) -> bool:
    """Whether any of the three is ours, with both in `dtype`."""
    # An operation that gathers for one argument scatters for the other.
    return _ours(x, weight, geometry, scatters=True, of_weights=True, dtype=dtype)


def are_single(*tensors: Tensor) -> bool:
    """Whether none is a batch of vectors, as under `is_grads_batched`."""
    return not any("Batched" in repr(torch._C._dispatch_keys(tensor)) for tensor in tensors)


def _ours(
    x: Tensor,
    weight: Tensor,
    geometry: Geometry,
    scatters: bool,
    of_weights: bool = False,
    dtype: torch.dtype | None = None,
) -> bool:
    """Whether an operation of C(x, w) is done as a product: one that gathers patches of the larger images,
    one that `scatters` products into them, or the gradient `of_weights`, which gathers."""
    kind = weight.dtype if dtype is None else dtype
    if _only_torch or weight.device.type != "cpu" or geometry.groups != 1 or set(geometry.dilation) != {1}:
        return False
    pixels = math.prod(x.shape[2:] if geometry.transposed else _result(x, weight, geometry))
    others, channels, *kernel = weight.shape
    patch = math.prod(kernel) * channels
    if patch * pixels * kind.itemsize > ROOM:
        return False
    heavy = pixels <= SMALL and weight.numel() >= HEAVY * pixels
    if pixels == 1 or (heavy and (FAST_PRODUCTS or of_weights)):
        return kind in (torch.float32, torch.float64, torch.bfloat16)
    thin = channels <= MAX_CHANNELS and others >= MIN_RATIO * channels and patch >= ROWS
    return scatters and thin and kind in (torch.float32, torch.float64)


def _is_plain(tensor: Tensor) -> bool:
    """Whether it is just real numbers in memory."""
    known = type(tensor) in PLAIN and tensor.layout == torch.strided
    return known and tensor.is_floating_point()


def _channels_last(tensor: Tensor) -> bool:
    return not tensor.is_contiguous() and tensor.is_contiguous(memory_format=torch.channels_last)


def _result(x: Tensor, weight: Tensor, geometry: Geometry) -> tuple[int, ...]:
    """Height and width of C(x, w)."""

    def side(x: int, kernel: int, step: int, pad: int, spread: int, more: int) -> int:
        seen = spread * (kernel - 1) + 1
        if geometry.transposed:
            return (x - 1) * step - 2 * pad + seen + more
        return (x + 2 * pad - seen) // step + 1

    asked = (geometry.stride, geometry.padding, geometry.dilation, geometry.output_padding)
    return tuple(map(side, x.shape[2:], weight.shape[2:], *asked))


def _pair(each: Any) -> tuple[int, ...] | None:
    """For height and width; None for what only torch understands."""
    if type(each) is int:
        return (each, each)
    pair = isinstance(each, (tuple, list)) and len(each) == 2 and all(type(side) is int for side in each)
    return tuple(each) if pair else None


def _gradients(g: Tensor, x: Tensor, weight: Tensor, geometry: Geometry, wanted: list[bool]) -> list[Tensor]:
    """Torch's own gradients of input, weight and bias: those requested."""
    return torch.ops.aten.convolution_backward(  # type: ignore[no-any-return]
        g, x, weight, None, *geometry, wanted
    )
