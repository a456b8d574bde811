"""Cheaper double backward for gradient penalties.

For the gradient of a gradient, torch computes second derivatives that are 0 almost everywhere, of a
ReLU or of pooling, as tensors of zeros, and propagates these through all layers below. Here such an
operation has no second derivative at all, and the pass ends there. For convolutions see
`convolution_autograd`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function

from ganforge.engine.kernels.convolution_autograd import Gradients, twice_differentiable_conv2d
from ganforge.engine.kernels.override import Replacing

Map = Callable[[Tensor], Tensor]


class TwiceDifferentiable(Replacing):
    """While it is active, 2-D convolutions over batches, (leaky) ReLUs, average pooling and reflect padding
    use `OURS`. Results are equal up to the order of sums."""

    def __init__(self) -> None:
        super().__init__(OURS)


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """As `torch.nn.functional.relu`."""
    return leaky_relu(input, 0.0, inplace)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """As `torch.nn.functional.leaky_relu`, but without a second derivative where torch's is 0: the gradient
    of a gradient then need not pass through the layers below to be 0."""
    if negative_slope < 0:
        return F.leaky_relu(input, negative_slope, inplace)
    rectified: Tensor = _Rectified.apply(input, negative_slope, inplace)
    return rectified


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """As `torch.nn.functional.pad`."""
    if mode == "constant":
        return F.pad(input, pad, mode, value)
    padded: Tensor = _linear(F.pad)(input, pad, mode, value)
    return padded


def _linear(operation: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """`operation`, which is linear in its first argument; torch would give its gradient a second derivative
    of zeros, and propagate them."""

    def ours(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        mapped: Tensor = _Linear.apply(input, lambda x: operation(x, *args, **kwargs))
        return mapped

    return ours


OURS: Mapping[Callable[..., Any], Callable[..., Any]] = {
    F.conv2d: twice_differentiable_conv2d,
    F.leaky_relu: leaky_relu,
    F.leaky_relu_: partial(leaky_relu, inplace=True),
    F.relu: relu,
    torch.relu: relu,
    torch.relu_: partial(relu, inplace=True),
    Tensor.relu: relu,
    Tensor.relu_: partial(relu, inplace=True),
    **{each: _linear(each) for each in (F.adaptive_avg_pool2d, F.avg_pool2d)},
    F.pad: pad,
}


class _Rectified(Function):
    """max(x, 0) + slope min(x, 0)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: float, inplace: bool) -> Tensor:
        if inplace:
            ctx.mark_dirty(x)
        y = F.leaky_relu(x, slope, inplace) if slope else F.relu(x, inplace)  # like x
        ctx.save_for_backward(y)
        ctx.slope = slope
        return y

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Gradients:
        (y,) = ctx.saved_tensors
        return _RectifiedGradient.apply(g, y.detach(), ctx.slope), None, None


class _RectifiedGradient(Function):
    """g where y > 0 and slope g elsewhere: linear in g, and constant in y almost everywhere."""

    @staticmethod
    def forward(ctx: Any, g: Tensor, y: Tensor, slope: float) -> Tensor:
        ctx.save_for_backward(y)
        ctx.slope = slope
        if slope:
            return torch.ops.aten.leaky_relu_backward(g, y, slope, True)  # type: ignore[no-any-return]
        return torch.ops.aten.threshold_backward(g, y, 0)  # type: ignore[no-any-return]

    @staticmethod
    def backward(ctx: Any, u: Tensor) -> Gradients:
        (y,) = ctx.saved_tensors
        return _RectifiedGradient.apply(u, y, ctx.slope), None, None


class _Linear(Function):
    """A linear map of x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, linear: Map) -> Tensor:
        ctx.linear, ctx.like = linear, (x.shape, x.stride())
        return linear(x)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Gradients:
        return _Transposed.apply(g, ctx.linear, ctx.like), None


class _Transposed(Function):
    """The transpose of a linear map of tensors with that shape and those strides."""

    @staticmethod
    def forward(ctx: Any, g: Tensor, linear: Map, like: tuple[torch.Size, tuple[int, ...]]) -> Tensor:
        ctx.linear = linear
        with torch.enable_grad():
            # Independent of the values.
            x = g.new_empty_strided(*like).requires_grad_(True)
            (transposed,) = torch.autograd.grad(linear(x), x, g)  # g like linear(x) -> like x
        return transposed

    @staticmethod
    def backward(ctx: Any, u: Tensor) -> Gradients:
        return _Linear.apply(u, ctx.linear), None, None
