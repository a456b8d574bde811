"""A convolution whose gradient is cheap to differentiate once more.

Torch differentiates the gradient of a convolution by convolutions in which the images take the
place of the kernel, and by a loop over the groups. The same sums are what its own gradients of
weight and input compute, by kernels that are made for these shapes. StyleGAN's `conv2d_gradfix`
(Karras et al. 2020, arXiv:2006.06676, the authors' code) rests on that, too. Every derivative of
a convolution is one of three operations, each linear in either of its two arguments:

    y = C(x, w)        the convolution
    x' = X(g, w)       the gradient of <g, C(x, w)> with respect to x
    w' = W(g, x)       the same with respect to w

so <g, C(x, w)> = <X(g, w), x> = <W(g, x), w>, and the derivatives of each are the other two.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function

Gradients = tuple[Tensor | None, ...]


class Geometry(NamedTuple):
    """What `aten::convolution` takes after input, weight and bias."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    transposed: bool
    output_padding: tuple[int, ...]
    groups: int


class Held(NamedTuple):
    """A tensor that a node's derivative depends on, without an edge of the graph to it: along an edge
    torch goes on even where there is no gradient."""

    tensor: Tensor


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple[int, ...] = 1,
    padding: int | str | tuple[int, ...] = 0,
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
) -> Tensor:
    """As `torch.nn.functional.conv2d`: `input` [N, C, H, W], `weight` [O, C / groups, h, w], `bias` [O]."""
    casts = torch.is_autocast_enabled(input.device.type)
    if isinstance(padding, str) or input.ndim != 4 or casts or input.is_complex() or weight.is_complex():
        return F.conv2d(input, weight, bias, stride, padding, dilation, groups)
    geometry = Geometry(_pair(stride), _pair(padding), _pair(dilation), False, (0, 0), groups)
    # Two nodes of the graph, so that a gradient with respect to the input alone, which is what
    # penalties ask for, computes none of the weight: torch executes a node for all its inputs.
    value, shift = weight.detach(), None if bias is None else bias.detach()
    y = _OfInput.apply(input, value, shift, Held(weight), geometry)
    placeholder = _OfWeight.apply(weight, bias, Held(input), y.detach(), geometry)
    joined: Tensor = _Joined.apply(y, placeholder)
    return joined


class _OfInput(Function):
    """C(x, w) + b as a function of x. `value` is that of w."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, value: Tensor, bias: Tensor | None, weight: Held, geometry: Geometry
    ) -> Tensor:
        ctx.save_for_backward(x, weight.tensor)
        ctx.geometry = geometry
        return torch.ops.aten.convolution(x, value, bias, *geometry)  # type: ignore[no-any-return]

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Gradients:
        x, weight = ctx.saved_tensors
        of_x = _InputGradient.apply(g, weight, x.detach(), ctx.geometry)
        return of_x, None, None, None, None


class _OfWeight(Function):
    """C(x, w) + b as a function of w and b; its value is a placeholder of the shape of `y`."""

    @staticmethod
    def forward(
        ctx: Any, weight: Tensor, bias: Tensor | None, x: Held, y: Tensor, geometry: Geometry
    ) -> Tensor:
        ctx.save_for_backward(weight, x.tensor)
        ctx.geometry = geometry
        return y.new_empty(()).expand(y.shape)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Gradients:
        weight, x = ctx.saved_tensors
        of_weight = of_bias = None
        if ctx.needs_input_grad[0]:
            of_weight = _WeightGradient.apply(g, x, weight.detach(), ctx.geometry)
        if ctx.needs_input_grad[1]:
            of_bias = g.sum(dim=(0, 2, 3))
        return of_weight, of_bias, None, None, None


class _Joined(Function):
    """`y`, with a gradient for both."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, placeholder: Tensor) -> Tensor:
        # Changed in place, says this; a view would refuse an activation that really is.
        ctx.mark_dirty(y)
        return y

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Gradients:
        return g, g


class _InputGradient(Function):
    """X(g, w); of `x` only the form is read."""

    @staticmethod
    def forward(ctx: Any, g: Tensor, weight: Tensor, x: Tensor, geometry: Geometry) -> Tensor:
        ctx.save_for_backward(g, weight)
        ctx.geometry = geometry
        return _gradients(g, x, weight, geometry, [True, False, False])[0]

    @staticmethod
    def backward(ctx: Any, u: Tensor) -> Gradients:
        g, weight = ctx.saved_tensors
        of_g = of_weight = None
        if ctx.needs_input_grad[0]:
            of_g = _convolved(u, weight, ctx.geometry)
        if ctx.needs_input_grad[1]:
            of_weight = _WeightGradient.apply(g, u, weight.detach(), ctx.geometry)
        return of_g, of_weight, None, None


class _WeightGradient(Function):
    """W(g, x); of `weight` only the form is read."""

    @staticmethod
    def forward(ctx: Any, g: Tensor, x: Tensor, weight: Tensor, geometry: Geometry) -> Tensor:
        ctx.save_for_backward(g, x)
        ctx.geometry = geometry
        return _gradients(g, x, weight, geometry, [False, True, False])[1]

    @staticmethod
    def backward(ctx: Any, v: Tensor) -> Gradients:
        g, x = ctx.saved_tensors
        of_g = of_x = None
        if ctx.needs_input_grad[0]:
            of_g = _convolved(x, v, ctx.geometry)
        if ctx.needs_input_grad[1]:
            of_x = _InputGradient.apply(g, v, x.detach(), ctx.geometry)
        return of_g, of_x, None, None


def _convolved(x: Tensor, weight: Tensor, geometry: Geometry) -> Tensor:
    """C(x, w), itself as differentiable as need be."""
    return conv2d(x, weight, None, geometry.stride, geometry.padding, geometry.dilation, geometry.groups)


def _gradients(g: Tensor, x: Tensor, weight: Tensor, geometry: Geometry, wanted: list[bool]) -> list[Tensor]:
    """Torch's own gradients of input, weight and bias: those that are wanted."""
    return torch.ops.aten.convolution_backward(  # type: ignore[no-any-return]
        g, x, weight, None, *geometry, wanted
    )


def _pair(each: int | Sequence[int]) -> tuple[int, ...]:
    return tuple(each) * (3 - len(each)) if isinstance(each, Sequence) else (int(each),) * 2
