"""R3GAN: residual networks of grouped convolutions, without normalization.

The GAN is dead; long live the GAN! A Modern Baseline GAN (Huang, Gokaslan, Kuleshov & Tompkin,
2025), arXiv:2501.05441, section 4, configuration E, and the authors' code. Additions here: the tanh that
keeps images in [-1, 1], where theirs are unbounded, and
the networks for 28x28 and 128x128. In mixed precision the four largest resolutions compute in 16 bits and
the others, the latent's layers and the logits in float32, as theirs. Their objective is the loss
`relativistic` with the terms `r1` and `r2`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from itertools import pairwise
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganforge.api import Architecture, DataSpec, Field, Networks, Tree, UserError, Verdict
from ganforge_architectures.conditioning import ConditionDim, LatentInput, Scheme, row, scheme
from ganforge_architectures.heads import Heads
from ganforge_architectures.layers import Layers, fan_in_normal
from ganforge_architectures.precision import full_precision, wide_stages
from ganforge_architectures.resample import Downsample, Upsample
from ganforge_architectures.shapes import Grid, image_grid

SLOPE = 0.2
"""Negative slope of the leaky ReLU."""


class R3GAN(Architecture):
    """Images of any size that is base x 2^k in height and width, k >= 2, with a base of 4 to 7 for the
    shorter side; theirs are square, of 32, 64 and 256.

    Weights are initialized from N(0, 1/fan in), with a gain in the residual branches that decreases with
    their number (Zhang, Dauphin & Ma 2019, arXiv:1901.09321); the last layer of each branch and biases
    with 0.
    """

    source: ClassVar[str] = (
        "The GAN is dead; long live the GAN! A Modern Baseline GAN (Huang, Gokaslan, Kuleshov & Tompkin, "
        "2025), arXiv:2501.05441, section 4, configuration E"
    )

    type: Literal["r3gan"] = "r3gan"
    example: ClassVar[Mapping[str, Any]] = {
        "nets": {"type": "r3gan", "width": 32, "condition_dim": 4, "blocks": 1}
    }
    width: int = Field(
        768,
        ge=1,
        description="Channels of feature maps up to 32x32; halved with each doubling of the shorter side "
        "beyond.",
    )
    blocks: int = Field(2, ge=1, description="Residual blocks at each resolution.")
    expansion: int = Field(2, ge=1, description="Hidden channels of a block per input channel.")
    group_width: int = Field(
        16, ge=1, description="Channels per group of the grouped convolutions in a block."
    )
    edges: Literal["mirror", "zeros"] = Field(
        "mirror",
        description="How feature maps go on beyond their edges when they are resampled: as their mirror "
        "image, or as zeros, which is published.",
    )
    conditioning: Literal["auto", "none", "generator", "projection"] = Field(
        "auto",
        description="How labels enter the networks. auto: projection if the data has labels (generator if a "
        "term needs a classifier of labels, as in AC-GAN), otherwise none. none: not at all. generator: "
        "embedded and concatenated to the latent. projection: the same generator; the logit is the inner "
        "product of the discriminator's output and the embedded label.",
    )
    condition_dim: ConditionDim = 64

    def build(self, spec: DataSpec, z_dim: int, heads: Mapping[str, int]) -> Networks:
        grid = image_grid(self.type, spec)
        how = scheme(self.type, self.conditioning, spec, heads, auto=("projection", "generator"))
        first = LatentInput(z_dim, how, self.condition_dim, partial(LAYERS.linear, bias=False))
        widths = self._widths(grid)
        # The variances of this many branches add up; three layers each.
        gain = math.sqrt(2 / (1 + SLOPE**2)) * (len(widths) * self.blocks) ** -0.25
        mirror = self.edges == "mirror"
        stages = [[self._block(width, gain) for _ in range(2 * self.blocks)] for width in widths]
        return Networks(
            Generator(
                first, widths, [stage[: self.blocks] for stage in stages], grid.base, spec.shape[0], mirror
            ),
            Discriminator(
                spec.shape[0],
                widths,
                [stage[self.blocks :] for stage in stages],
                grid.base,
                how,
                heads,
                mirror,
            ),
        )

    def _widths(self, grid: Grid) -> list[int]:
        """Channels at each resolution, from the base to the image's."""
        side = grid.shorter
        unit = 2 ** _beyond_32(side) * (self.group_width // math.gcd(self.group_width, self.expansion))
        if self.width % unit:
            raise UserError(
                f"nets 'r3gan': width = {self.width} cannot be divided into groups of {self.group_width} "
                f"channels in all layers for {side}x{side} images; use a multiple of {unit}, such as "
                f"{math.ceil(self.width / unit) * unit}, or another group_width"
            )
        sides = [min(grid.base) << doublings for doublings in range(grid.halvings + 1)]
        return [self.width >> _beyond_32(each) for each in sides]

    def _block(self, width: int, gain: float) -> nn.Module:
        return Bottleneck(width, width * self.expansion, self.group_width, gain)


def _beyond_32(side: int) -> int:
    """How many whole doublings `side` is beyond 32."""
    return max(0, (side // 32).bit_length() - 1)


LAYERS = Layers(fan_in_normal)


class Bottleneck(nn.Module):
    """[N, C, H, W] -> the same: x + W3 f(W2 f(W1 x)), where W2 is 3x3 and grouped, and f is a biased leaky
    ReLU."""

    def __init__(self, channels: int, hidden: int, group_width: int, gain: float) -> None:
        super().__init__()
        self.conv1 = LAYERS.conv(channels, hidden, 1, gain=gain)
        self.conv2 = LAYERS.conv(hidden, hidden, 3, padding=1, groups=hidden // group_width, gain=gain)
        self.conv3 = LAYERS.conv(hidden, channels, 1, bias=False, gain=0.0)

    def forward(self, x: Tensor) -> Tensor:
        h = F.leaky_relu_(self.conv1(x), SLOPE)  # [N, C e, H, W]
        h = F.leaky_relu_(self.conv2(h), SLOPE)
        out: Tensor = x + self.conv3(h)  # [N, C, H, W]
        return out


class Generator(nn.Module):
    """z [N, z_dim], cond [N, K] or None -> images [N, C, H, W] in [-1, 1]."""

    def __init__(
        self,
        first: LatentInput,
        widths: list[int],
        stages: list[list[nn.Module]],
        base: tuple[int, int],
        channels: int,
        mirror: bool,
    ) -> None:
        super().__init__()
        self.first = first
        self.basis = nn.Parameter(torch.randn(widths[0], *base))
        self.scales = LAYERS.linear(first.width, widths[0], bias=False)
        trunk, self.wide = [*stages[0]], len(stages[0])
        for i, (inputs, outputs) in enumerate(pairwise(widths), 1):
            # Change channels at the lower resolution.
            trunk += [*_change(inputs, outputs), Upsample(mirror), *stages[i]]
            if i < wide_stages(len(widths)):
                self.wide = len(trunk)
        self.trunk = nn.Sequential(*trunk)
        self.out = LAYERS.conv(widths[-1], channels, 1, bias=False)

    def forward(self, z: Tensor, cond: Tree) -> Tensor:
        with full_precision(z):
            scales = self.scales(self.first(z, cond))  # [N, C0]
            h = self.basis * scales[:, :, None, None]  # [N, C0, *base]
            h = self.trunk[: self.wide](h)
        h = self.out(self.trunk[self.wide :](h))
        return torch.tanh(h.to(self.basis.dtype))


class Discriminator(nn.Module):
    """x [N, C, H, W], cond [N, K] or None -> `Verdict`; the features are the trunk's maps, each reduced by a
    learned basis."""

    def __init__(
        self,
        channels: int,
        widths: list[int],
        stages: list[list[nn.Module]],
        base: tuple[int, int],
        how: Scheme,
        heads: Mapping[str, int],
        mirror: bool,
    ) -> None:
        super().__init__()
        last = widths[0]
        trunk = [LAYERS.conv(channels, widths[-1], 1, bias=False), *stages[-1]]
        for i, (inputs, outputs) in enumerate(pairwise(widths[::-1]), 1):
            if i == len(widths) - wide_stages(len(widths)):
                self.narrow = len(trunk) + 1 + (inputs != outputs)
            trunk += [Downsample(mirror), *_change(inputs, outputs), *stages[-1 - i]]
        self.trunk = nn.Sequential(*trunk)
        self.basis = LAYERS.conv(last, last, base, groups=last, bias=False)
        projects = how.discriminator == "projection"
        self.logit = LAYERS.linear(last, last if projects else 1, bias=False)
        self.embed = (
            LAYERS.linear(how.width, last, bias=False, gain=1 / math.sqrt(last)) if projects else None
        )
        self.heads = Heads(last, heads)

    def forward(self, x: Tensor, cond: Tree) -> Verdict:
        h = self.trunk[: self.narrow](x)
        with full_precision(x):
            h = self.trunk[self.narrow :](h.to(self.logit.weight.dtype))  # [N, C, *base]
            features = self.basis(h).flatten(1)  # [N, C]
            logits = self.logit(features)  # [N, C] with projection, otherwise [N, 1]
            if self.embed is not None:
                logits = (logits * self.embed(row(cond))).sum(dim=1)  # [N]
            return Verdict(logits.flatten(), self.heads(features), features)


def _change(inputs: int, outputs: int) -> list[nn.Module]:
    """The layer from `inputs` to `outputs` channels; none if they are equal."""
    return [] if inputs == outputs else [LAYERS.conv(inputs, outputs, 1, bias=False)]
