"""Convolutions whose weights a style scales, and demodulates to unit size.

Analyzing and Improving the Image Quality of StyleGAN (Karras et al., 2020), arXiv:1912.04958, section 2.2,
equations 1 and 3.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganforge.api import WholeBatch
from ganforge_architectures.equalized import EqualizedLinear, activated
from ganforge_architectures.filtered import smoothed
from ganforge_architectures.precision import full_precision

EPSILON = 1e-8
Form = Literal["auto", "scaled", "grouped"]
NoiseMode = Literal["random", "fixed", "none"]


def scaled(x: Tensor, weight: Tensor, style: Tensor, demodulate: bool, up: bool) -> Tensor:
    """x [N, I, H, W] convolved by weight [O, I, k, k] times the styles [N, I]: as one convolution by the
    weights themselves, with its input scaled by the styles and its output by the demodulation."""
    x = _convolved(x * style[:, :, None, None].to(x.dtype), weight, up, 1)
    if not demodulate:
        return x
    with full_precision(x):
        size = (style.square() @ weight.square().sum((2, 3)).T + EPSILON).rsqrt()  # [N, O]
    return x * size[:, :, None, None].to(x.dtype)


def grouped(x: Tensor, weight: Tensor, style: Tensor, demodulate: bool, up: bool) -> Tensor:
    """The same as a grouped convolution, a group a sample, by weights of its own."""
    n = x.shape[0]
    each = weight * style[:, None, :, None, None]  # [N, O, I, k, k]
    if demodulate:
        each = each * (each.square().sum((2, 3, 4), keepdim=True) + EPSILON).rsqrt()
    x = _convolved(x.reshape(1, -1, *x.shape[2:]), each.flatten(0, 1), up, n)
    return x.reshape(n, -1, *x.shape[2:])


def faster_form(device: str, n: int, inputs: int, outputs: int, pixels: int) -> Literal["scaled", "grouped"]:
    """For n samples on this type of device, and a result of `pixels` each.

    On a CPU, measured by tests/experiments/modulation_forms.py: n groups of a convolution are slower than n
    samples of one, and copies of the weights cost the more, the more channels there are. A single sample's
    weights are a dense convolution, too; modulating them saves two products of the features, which are then
    larger. On a GPU, not measured: the scaled form is one dense convolution for any n, and its products fuse
    with bias and activation.
    """
    if device == "cpu" and n == 1 and pixels >= inputs * outputs:
        return "grouped"
    return "scaled"


def modulated(x: Tensor, weight: Tensor, style: Tensor, demodulate: bool, up: bool, form: Form) -> Tensor:
    """By the form asked for."""
    if form == "auto":
        outputs, inputs = weight.shape[:2]
        pixels = x.shape[2] * x.shape[3] * (4 if up else 1)
        form = faster_form(x.device.type, x.shape[0], inputs, outputs, pixels)
    return (grouped if form == "grouped" else scaled)(x, weight, style, demodulate, up)


def _convolved(x: Tensor, weight: Tensor, up: bool, groups: int) -> Tensor:
    """By weights [groups O, I, k, k]; `up` doubles the sides."""
    if not up:
        return F.conv2d(x, weight, padding=weight.shape[2] // 2, groups=groups)
    # torch's transposed convolution takes [groups I, O, k, k].
    swapped = weight.reshape(groups, -1, *weight.shape[1:]).transpose(1, 2).flatten(0, 1)
    return smoothed(F.conv_transpose2d(x, swapped, stride=2, groups=groups))


class StyledConv(nn.Module):
    """x [N, inputs, H, W], w [N, W] -> [N, outputs, H, W], or [N, outputs, 2H, 2W] with `up`: a modulated
    3x3 convolution, noise, bias and leaky ReLU."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        w_dim: int,
        size: tuple[int, int],
        up: bool,
        noise: NoiseMode,
        form: Form,
    ) -> None:
        """`size`: the sides of the result."""
        super().__init__()
        self.affine = EqualizedLinear(w_dim, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.register_buffer("noise", torch.randn(size))
        self.batch = WholeBatch()
        self.up, self.form, self.mode = up, form, noise

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        with full_precision(x):
            style = self.affine(w.to(self.weight.dtype))  # [N, inputs]
        x = modulated(x, self.weight, style, True, self.up, self.form)
        if self.mode != "none":
            # In training each sample's own; the samples that are shown have the same, so that a seed
            # gives the same image in any batch.
            noise = self.get_buffer("noise")
            if self.mode == "random" and self.training:
                noise = self.batch.rows(len(x), partial(_noise_like, noise))  # [N, 1, H, W]
            x = x + (noise * self.noise_strength).to(x.dtype)
        return activated(x + self.bias[:, None, None].to(x.dtype))


def _noise_like(plane: Tensor, n: int, rng: torch.Generator | None) -> Tensor:
    """Normal noise [n, 1, H, W] for a plane [H, W]."""
    return torch.randn(n, 1, *plane.shape, generator=rng, device=plane.device, dtype=plane.dtype)


class ToRGB(nn.Module):
    """x [N, inputs, H, W], w [N, W] -> colors [N, channels, H, W] of the weight's type: a 1x1 convolution,
    modulated only."""

    def __init__(self, inputs: int, channels: int, w_dim: int, form: Form) -> None:
        super().__init__()
        self.affine = EqualizedLinear(w_dim, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(channels, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.scale, self.form = 1 / math.sqrt(inputs), form

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        with full_precision(x):
            style = self.affine(w.to(self.weight.dtype)) * self.scale
        colors = modulated(x, self.weight, style, False, False, self.form)
        return colors.to(self.bias.dtype) + self.bias[:, None, None]
