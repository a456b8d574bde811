"""Layers with equalized learning rates: weights are N(0, 1) and scaled when they are used.

Progressive Growing of GANs (Karras, Aila, Laine & Lehtinen, 2018), arXiv:1710.10196, section 4.1. By Adam,
whose steps do not depend on the size of a gradient, all weights then learn at the same relative speed.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganforge_architectures.filtered import downsampled

SLOPE, GAIN = 0.2, math.sqrt(2)
"""Negative slope of the leaky ReLU, and the factor that keeps the size of its input."""


def activated(x: Tensor, gain: float = 1.0) -> Tensor:
    """Leaky ReLU of x, times sqrt(2) and `gain`."""
    return F.leaky_relu(x, SLOPE) * (GAIN * gain)


class EqualizedLinear(nn.Module):
    """[N, inputs] -> [N, outputs]; `rate` is a factor on the learning rate."""

    def __init__(
        self, inputs: int, outputs: int, rate: float = 1.0, bias: float = 0.0, active: bool = False
    ) -> None:
        """`bias`: its first value; `active`: followed by the leaky ReLU."""
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias / rate))
        self.scale, self.rate, self.active = rate / math.sqrt(inputs), rate, active

    def forward(self, x: Tensor) -> Tensor:
        bias = self.bias if self.rate == 1 else self.bias * self.rate
        x = torch.addmm(bias, x, (self.weight * self.scale).T)
        return activated(x) if self.active else x


class EqualizedConv(nn.Module):
    """[N, inputs, H, W] -> [N, outputs, H, W], or half the sides after the filter of `filtered`."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        down: bool = False,
        bias: bool = True,
        active: bool = True,
        gain: float = 1.0,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.scale = 1 / math.sqrt(inputs * kernel * kernel)
        self.kernel, self.down, self.active, self.gain = kernel, down, active, gain

    def forward(self, x: Tensor) -> Tensor:
        weight, padding = self.weight * self.scale, self.kernel // 2
        if self.down and self.kernel == 1:
            x = F.conv2d(downsampled(x, 1, stride=2), weight, self.bias)  # [N, outputs, H/2, W/2]
        elif self.down:
            x = F.conv2d(downsampled(x, padding + 1), weight, self.bias, stride=2)  # the same
        else:
            x = F.conv2d(x, weight, self.bias, padding=padding)  # [N, outputs, H, W]
        if self.active:
            return activated(x, self.gain)
        return x if self.gain == 1 else x * self.gain
