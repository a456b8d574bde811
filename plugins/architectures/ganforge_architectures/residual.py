"""The residual blocks of the WGAN-GP, SNGAN and BigGAN networks (pre-activation, 3x3 convolutions).

Improved Training of Wasserstein GANs (Gulrajani et al., 2017), arXiv:1704.00028, appendix F;
Spectral Normalization for GANs (Miyato et al., 2018), arXiv:1802.05957, appendix B.4;
Large Scale GAN Training (Brock et al., 2018), arXiv:1809.11096, figure 15.

A 1x1 convolution commutes with nearest upsampling and with mean pooling, so every shortcut
convolves at the lower resolution: the same result for a quarter of the work.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganforge_architectures.attention import SelfAttention
from ganforge_architectures.conditioning import BatchNorm
from ganforge_architectures.layers import Layers
from ganforge_architectures.plans import BlockPlan

HE = math.sqrt(2)
"""Gain of a convolution that follows a ReLU; shortcuts and outputs have gain 1."""


def upsample(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")


class UpBlock(nn.Module):
    """[N, inputs, H, W], cond [N, K] or None -> [N, outputs, 2H, 2W]; for generators.

    `norm` creates the normalization for a number of channels; it also receives the condition.
    """

    def __init__(self, inputs: int, outputs: int, norm: Callable[[int], nn.Module], layers: Layers) -> None:
        super().__init__()
        self.norm1 = norm(inputs)
        self.conv1 = layers.conv(inputs, outputs, 3, padding=1, gain=HE)
        self.norm2 = norm(outputs)
        self.conv2 = layers.conv(outputs, outputs, 3, padding=1, gain=HE)
        self.shortcut = layers.conv(inputs, outputs, 1)

    def forward(self, x: Tensor, cond: Tensor | None) -> Tensor:
        h = self.conv1(upsample(self.norm1(x, cond).relu_()))  # [N, outputs, 2H, 2W]
        h = self.conv2(self.norm2(h, cond).relu_())
        out: Tensor = h + upsample(self.shortcut(x))  # [N, outputs, 2H, 2W]
        return out


class ResidualGenerator(nn.Module):
    """What the generators of ResNet and BigGAN share: a linear layer, `UpBlock`s, attention at one size."""

    def grow(
        self,
        inputs: int,
        plan: BlockPlan,
        base: tuple[int, int],
        width: int,
        channels: int,
        norm: Callable[[int], nn.Module],
        attention: int,
        layers: Layers,
    ) -> None:
        """Makes the layers, from `inputs` numbers per sample to images of `channels`. Called after the
        subclass has made its own, because their order is that of parameters in checkpoints.

        `base`: height and width of the first feature map; `norm`: see `UpBlock`; `attention`: the side in
        pixels at which to attend, 0 = nowhere.
        """
        widths = [width * multiple for multiple in plan.g]
        self.seed_shape = (widths[0], *base)
        self.seed = layers.linear(inputs, widths[0] * base[0] * base[1])
        self.blocks = nn.ModuleList(UpBlock(a, b, norm, layers) for a, b in pairwise(widths))
        self.attended = plan.g_sides().index(attention) if attention else None
        if self.attended is not None:
            self.attention = SelfAttention(widths[self.attended + 1], layers)
        # The last norm is unconditional in both papers' code.
        self.norm = BatchNorm(widths[-1], 0)
        self.out = layers.conv(widths[-1], channels, 3, padding=1)

    def images(self, first: Tensor, conds: Sequence[Tensor | None]) -> Tensor:
        """[N, inputs], and what the norms of each block are given -> [N, C, H, W] in [-1, 1]."""
        h: Tensor = self.seed(first).unflatten(1, self.seed_shape)  # [N, C0, *base]
        for i, (block, cond) in enumerate(zip(self.blocks, conds, strict=True)):
            h = block(h, cond)  # [N, C, H, W] -> [N, C', 2H, 2W]
            if i == self.attended:
                h = self.attention(h)
        return torch.tanh(self.out(self.norm(h, None).relu_()))


class DownBlock(nn.Module):
    """[N, inputs, H, W] -> [N, outputs, H/2, W/2], or [N, outputs, H, W] if not `halve`; for
    discriminators. The first convolution has `hidden` outputs."""

    def __init__(
        self,
        inputs: int,
        hidden: int,
        outputs: int,
        *,
        halve: bool,
        norm: Literal["none", "layer"],
        layers: Layers,
    ) -> None:
        super().__init__()
        self.halve = halve
        self.norm1 = nn.GroupNorm(1, inputs) if norm == "layer" else nn.Identity()
        self.conv1 = layers.conv(inputs, hidden, 3, padding=1, gain=HE)
        self.norm2 = nn.GroupNorm(1, hidden) if norm == "layer" else nn.Identity()
        self.conv2 = layers.conv(hidden, outputs, 3, padding=1, gain=HE)
        learned = halve or inputs != outputs
        self.shortcut = layers.conv(inputs, outputs, 1) if learned else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(F.relu(self.norm1(x)))  # [N, hidden, H, W]
        h = self.conv2(F.relu(self.norm2(h)))  # [N, outputs, H, W]
        if self.halve:
            h, x = F.avg_pool2d(h, 2), F.avg_pool2d(x, 2)  # [N, _, H/2, W/2]
        out: Tensor = h + self.shortcut(x)
        return out


class StemBlock(nn.Module):
    """The discriminator's first block, [N, inputs, H, W] -> [N, outputs, H/2, W/2]: no activation before the
    first convolution, because a ReLU would discard half of the image's values."""

    def __init__(self, inputs: int, outputs: int, layers: Layers) -> None:
        super().__init__()
        self.conv1 = layers.conv(inputs, outputs, 3, padding=1, gain=HE)
        self.conv2 = layers.conv(outputs, outputs, 3, padding=1, gain=HE)
        self.shortcut = layers.conv(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = F.avg_pool2d(self.conv2(self.conv1(x).relu_()), 2)  # [N, outputs, H/2, W/2]
        out: Tensor = h + self.shortcut(F.avg_pool2d(x, 2))
        return out
