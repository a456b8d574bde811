"""Convolutions as autograd nodes that can be differentiated any number of times.

Torch differentiates the gradient of a convolution by convolutions in which the images act as the kernel,
and by a loop over the groups. Its own gradients of weight and input compute the same sums by kernels
made for these shapes. StyleGAN's `conv2d_gradfix` (Karras et al. 2020, arXiv:2006.06676, the authors'
code) relies on that, too. `convolution` names the three operations, which are here nodes of the graph.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function

from ganforge.engine.kernels.convolution import (
    Geometry,
    are_single,
    by_products,
    geometry_of,
    input_gradient,
    value,
    weight_gradient,
)
from ganforge.engine.kernels.override import watched

Gradients = tuple[Tensor | None, ...]
Side = int | tuple[int, ...]
"""For height and width, one value for both or one each."""


class Held(NamedTuple):
    """A tensor that a node's derivative depends on, without an edge of the graph: torch propagates along an
    edge even if there is no gradient."""

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
    by our kernel where that is faster."""
    geometry = geometry_of(input, weight, bias, stride, padding, dilation, groups)
    faster = None if geometry is None else _by_products(input, weight, bias, geometry)
    if faster is None:
        return F.conv2d(input, weight, bias, stride, padding, dilation, groups)
    return faster


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
    `bias` [C]; by our kernel where that is faster."""
    geometry = geometry_of(input, weight, bias, stride, padding, dilation, groups, output_padding)
    faster = None if geometry is None else _by_products(input, weight, bias, geometry)
    if faster is None:
        return F.conv_transpose2d(input, weight, bias, stride, padding, output_padding, groups, dilation)
    return faster


def twice_differentiable_conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Side = 1,
    padding: str | Side = 0,
    dilation: Side = 1,
    groups: int = 1,
) -> Tensor:
    """As `conv2d`, but with a cheap double backward."""
    geometry = geometry_of(input, weight, bias, stride, padding, dilation, groups)
    dtype = _dtype(input, weight, bias)
    if geometry is None or dtype != input.dtype or dtype != weight.dtype:
        return F.conv2d(input, weight, bias, stride, padding, dilation, groups)
    return _twice_differentiable(input, weight, bias, geometry)


def _twice_differentiable(x: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry) -> Tensor:
    """C(x, w) + b, as two nodes of the graph, so that a gradient with respect to the input alone, as in
    penalties, computes none for the weight: torch executes a node for all its inputs."""
    kernel, shift = weight.detach(), None if bias is None else bias.detach()
    y = _OfInput.apply(x, kernel, shift, Held(weight), geometry)
    placeholder = _OfWeight.apply(weight, bias, Held(x), y.detach(), geometry)
    joined: Tensor = _Joined.apply(y, placeholder)
    return joined


def _by_products(x: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry) -> Tensor | None:
    """C(x, w) + b in one node; None if torch is as fast, or would raise."""
    dtype = _dtype(x, weight, bias)
    if dtype is None or not by_products(x, weight, geometry, dtype):
        return None
    # Types that autocast would cast.
    x, weight, bias = x.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype)
    convolved: Tensor = _Convolution.apply(x, weight, bias, geometry)
    return convolved


def _dtype(*tensors: Tensor | None) -> torch.dtype | None:
    """The type torch would convolve these in: their own or autocast's; None for mixed types, which it may
    reject."""
    found = {tensor.dtype for tensor in tensors if tensor is not None}
    kind = next(tensor.device.type for tensor in tensors if tensor is not None)
    casts = torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
    if casts and torch.float64 not in found:
        return torch.get_autocast_dtype(kind)
    return found.pop() if len(found) == 1 else None


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
        if watched():
            wanted = ctx.needs_input_grad[:3]
            torchs = torch.ops.aten.convolution_backward(g, x, weight, [g.shape[1]], *ctx.geometry, wanted)
            return (*torchs, None)
        if ctx.needs_input_grad[0]:
            of_x = _InputGradient.apply(g, weight, x.detach(), ctx.geometry)  # like x
        if ctx.needs_input_grad[1]:
            of_weight = _WeightGradient.apply(g, x, weight.detach(), ctx.geometry)  # like w
        if ctx.needs_input_grad[2]:
            of_bias = g.sum(dim=(0, 2, 3))  # [O]
        return of_x, of_weight, of_bias, None


class _OfInput(Function):
    """C(x, w) + b as a function of x. `kernel` has the values of w."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, kernel: Tensor, bias: Tensor | None, weight: Held, geometry: Geometry
    ) -> Tensor:
        ctx.save_for_backward(x, weight.tensor)
        ctx.geometry = geometry
        return value(x, kernel, bias, geometry)  # [N, C, H, W] -> [N, O, h, w]

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Gradients:
        x, weight = ctx.saved_tensors
        of_x = _InputGradient.apply(g, weight, x.detach(), ctx.geometry)  # like x
        return of_x, None, None, None, None


class _OfWeight(Function):
    """C(x, w) + b as a function of w and b; its value is a placeholder with the shape of `y`."""

    @staticmethod
    def forward(
        ctx: Any, weight: Tensor, bias: Tensor | None, x: Held, y: Tensor, geometry: Geometry
    ) -> Tensor:
        ctx.save_for_backward(weight, x.tensor)
        ctx.geometry = geometry
        return y.new_empty(()).expand(y.shape)  # [N, O, h, w]

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Gradients:
        weight, x = ctx.saved_tensors
        of_weight = of_bias = None
        if ctx.needs_input_grad[0]:
            of_weight = _WeightGradient.apply(g, x, weight.detach(), ctx.geometry)  # like w
        if ctx.needs_input_grad[1]:
            of_bias = g.sum(dim=(0, 2, 3))  # [O]
        return of_weight, of_bias, None, None, None


class _Joined(Function):
    """`y`, with a gradient for both."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, placeholder: Tensor) -> Tensor:
        # Declared as changed in place; a view would reject an activation that really is in place.
        ctx.mark_dirty(y)
        return y

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Gradients:
        return g, g


class _InputGradient(Function):
    """X(g, w); of `x` only the shape and memory format are used."""

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
            of_g = _convolved(u, weight, ctx.geometry)  # like g
        if ctx.needs_input_grad[1]:
            of_weight = _WeightGradient.apply(g, u, weight.detach(), ctx.geometry)  # like w
        return of_g, of_weight, None, None


class _WeightGradient(Function):
    """W(g, x); of `weight` only the shape and memory format are used."""

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
            of_g = _convolved(x, v, ctx.geometry)  # like g
        if ctx.needs_input_grad[1]:
            of_x = _InputGradient.apply(g, v, x.detach(), ctx.geometry)  # like x
        return of_g, of_x, None, None


def _convolved(x: Tensor, weight: Tensor, geometry: Geometry) -> Tensor:
    """C(x, w), itself differentiable as often as needed, in the precision of what it is a gradient of."""
    if not are_single(x, weight):
        return torch.ops.aten.convolution(x, weight, None, *geometry)  # type: ignore[no-any-return]
    if not geometry.transposed:
        return _twice_differentiable(x, weight, None, geometry)
    convolved: Tensor = _Convolution.apply(x, weight, None, geometry)
    return convolved
