"""Convolutions in autograd's graph: what each node's gradient is, any number of times.

Torch differentiates the gradient of a convolution by convolutions in which the images take the
place of the kernel, and by a loop over the groups. The same sums are what its own gradients of
weight and input compute, by kernels that are made for these shapes. StyleGAN's `conv2d_gradfix`
(Karras et al. 2020, arXiv:2006.06676, the authors' code) rests on that, too. `convolution` names
the three operations, which are here nodes of the graph.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function

from ganforge.engine.convolution import Geometry, by_products, input_gradient, value, weight_gradient

Gradients = tuple[Tensor | None, ...]
Side = int | tuple[int, ...]
"""For height and width, one for both or one each."""


class Held(NamedTuple):
    """A tensor that a node's derivative depends on, without an edge of the graph to it: along an edge
    torch goes on even where there is no gradient."""

    tensor: Tensor


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Side = 1,
    padding: str | Side = 0,
    dilation: Side = 1,
    groups: int = 1,
) -> Tensor:
    """As `torch.nn.functional.conv2d`: `input` [N, C, H, W], `weight` [O, C / groups, h, w], `bias` [O];
    by the faster way where there is one."""
    geometry = _geometry(input, weight, padding, stride, dilation, groups)
    if geometry is not None:
        faster = _by_products(input, weight, bias, geometry)
        if faster is not None:
            return faster
    return F.conv2d(input, weight, bias, stride, padding, dilation, groups)


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Side = 1,
    padding: Side = 0,
    output_padding: Side = 0,
    groups: int = 1,
    dilation: Side = 1,
) -> Tensor:
    """As `torch.nn.functional.conv_transpose2d`: `input` [N, O, h, w], `weight` [O, C / groups, a, b],
    `bias` [C]; by the faster way where there is one."""
    geometry = _geometry(input, weight, padding, stride, dilation, groups, output_padding)
    if geometry is not None:
        faster = _by_products(input, weight, bias, geometry)
        if faster is not None:
            return faster
    return F.conv_transpose2d(input, weight, bias, stride, padding, output_padding, groups, dilation)


def twice_differentiable_conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Side = 1,
    padding: str | Side = 0,
    dilation: Side = 1,
    groups: int = 1,
) -> Tensor:
    """As `conv2d`, but so that the gradient of its gradient is cheap."""
    geometry = _geometry(input, weight, padding, stride, dilation, groups)
    if geometry is None or torch.is_autocast_enabled(input.device.type):
        return F.conv2d(input, weight, bias, stride, padding, dilation, groups)
    # Two nodes of the graph, so that a gradient with respect to the input alone, which is what
    # penalties ask for, computes none of the weight: torch executes a node for all its inputs.
    kernel, shift = weight.detach(), None if bias is None else bias.detach()
    y = _OfInput.apply(input, kernel, shift, Held(weight), geometry)
    placeholder = _OfWeight.apply(weight, bias, Held(input), y.detach(), geometry)
    joined: Tensor = _Joined.apply(y, placeholder)
    return joined


class _Convolution(Function):
    """C(x, w) + b, in one node."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.geometry = geometry
        return value(x, weight, bias, geometry)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Gradients:
        x, weight = ctx.saved_tensors
        of_x = of_weight = of_bias = None
        if ctx.needs_input_grad[0]:
            of_x = _InputGradient.apply(g, weight, x.detach(), ctx.geometry)
        if ctx.needs_input_grad[1]:
            of_weight = _WeightGradient.apply(g, x, weight.detach(), ctx.geometry)
        if ctx.needs_input_grad[2]:
            of_bias = g.sum(dim=(0, 2, 3))
        return of_x, of_weight, of_bias, None


class _OfInput(Function):
    """C(x, w) + b as a function of x. `kernel` has the values of w."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, kernel: Tensor, bias: Tensor | None, weight: Held, geometry: Geometry
    ) -> Tensor:
        ctx.save_for_backward(x, weight.tensor)
        ctx.geometry = geometry
        return value(x, kernel, bias, geometry)

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
        return input_gradient(g, weight, x, geometry)

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
        return weight_gradient(g, x, weight, geometry)

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
    if geometry.transposed:
        convolved: Tensor = _Convolution.apply(x, weight, None, geometry)
        return convolved
    return twice_differentiable_conv2d(
        x, weight, None, geometry.stride, geometry.padding, geometry.dilation, geometry.groups
    )


def _by_products(x: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry) -> Tensor | None:
    """C(x, w) + b, in the precision that autocast asks for; None where torch is as fast."""
    kind = x.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None
    if not by_products(x, weight, geometry, dtype):
        return None
    if dtype is not None:
        x, weight, bias = x.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype)
    convolved: Tensor = _Convolution.apply(x, weight, bias, geometry)
    return convolved


def _geometry(
    x: Tensor,
    weight: Tensor,
    padding: str | Side,
    stride: Side,
    dilation: Side,
    groups: int,
    output_padding: Side | None = None,
) -> Geometry | None:
    """None where the convolution is left to torch: padding by name, one image alone, complex numbers. With
    `output_padding` it is transposed."""
    if isinstance(padding, str) or x.ndim != 4 or x.is_complex() or weight.is_complex():
        return None
    transposed = output_padding is not None
    return Geometry(
        _pair(stride), _pair(padding), _pair(dilation), transposed, _pair(output_padding or 0), groups
    )


def _pair(each: Side) -> tuple[int, ...]:
    return (each,) * 2 if isinstance(each, int) else tuple(each) * (3 - len(each))
