"""StyleGAN2's discriminator: residual, plain or with skips, without normalization, conditional by projection.

Analyzing and Improving the Image Quality of StyleGAN (Karras et al., 2020), arXiv:1912.04958, section 4.1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping as Map
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from ganforge.api import Tree, Verdict, WholeBatch
from ganforge_architectures.equalized import EqualizedConv, EqualizedLinear
from ganforge_architectures.filtered import downsampled
from ganforge_architectures.heads import Heads
from ganforge_architectures.precision import full_precision, wide_stages
from ganforge_architectures.style_mapping import Mapping

Design = Literal["residual", "plain", "skip"]
"""How the image enters, and what passes around the convolutions (figure 7)."""


class DownBlock(nn.Module):
    """[N, inputs, H, W] -> [N, outputs, H/2, W/2], with a skip connection or without."""

    def __init__(self, inputs: int, outputs: int, residual: bool) -> None:
        super().__init__()
        # Two of unit size are added, so each is scaled.
        gain = math.sqrt(0.5) if residual else 1.0
        self.conv0 = EqualizedConv(inputs, inputs, 3)
        self.conv1 = EqualizedConv(inputs, outputs, 3, down=True, gain=gain)
        self.skip = (
            EqualizedConv(inputs, outputs, 1, down=True, bias=False, active=False, gain=gain)
            if residual
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        through: Tensor = self.conv1(self.conv0(x))
        return through if self.skip is None else self.skip(x) + through


def group_size(samples: int, wanted: int) -> int:
    """The largest size of groups, at most `wanted`, that leaves no sample over."""
    return max(size for size in range(1, min(wanted, samples) + 1) if samples % size == 0)


class GroupStddev(nn.Module):
    """Appends a plane [N, 1, H, W]: the standard deviation over a group of consecutive samples, averaged
    over all channels and pixels. In training the groups are those of the whole batch, whose processes
    exchange features where a group is of more than one of them."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.batch = WholeBatch()

    def forward(self, x: Tensor) -> Tensor:
        n = len(x)
        group = group_size(n * self.batch.world, self.size)
        across = n % group > 0 and self.training
        if not across:
            group = group_size(n, self.size)
        with full_precision(x):
            wide = x.to(torch.promote_types(x.dtype, torch.float32))
            spread = _spreads(self.batch.gather(wide) if across else wide, group)
        plane = (self.batch.mine(spread) if across else spread).to(x.dtype)[:, None, None, None]
        return torch.cat([x, plane.expand(-1, 1, *x.shape[2:])], 1)


def _spreads(x: Tensor, group: int) -> Tensor:
    """x [N, C, H, W] -> each sample's group's [N]."""
    groups = x.reshape(len(x) // group, group, *x.shape[1:])
    spread = (groups.var(1, correction=0) + 1e-8).sqrt().mean((1, 2, 3))  # [N / group]
    return spread.repeat_interleave(group)


class StyleDiscriminator(nn.Module):
    """x [N, C, H, W], cond [N, K] or None -> `Verdict`; the features are the last layer's [N, F].

    With skips (figure 7b), the image is downsampled by the filter of the blocks, and at each resolution below
    the first a layer 1x1 of its own adds it to the features.
    """

    def __init__(
        self,
        widths: Sequence[int],
        base: tuple[int, int],
        channels: int,
        group: int,
        design: Design,
        mapping: Mapping | None,
        heads: Map[str, int],
    ) -> None:
        """`widths`: channels at each resolution, from `base` upward; `mapping`: of the condition."""
        super().__init__()
        last, downward = widths[0], widths[::-1]
        self.from_rgb = EqualizedConv(channels, widths[-1], 1)
        self.blocks = nn.Sequential(*(DownBlock(a, b, design == "residual") for a, b in pairwise(downward)))
        lower = downward[1:] if design == "skip" else ()
        self.lower_rgb = nn.ModuleList(EqualizedConv(channels, width, 1) for width in lower)
        self.narrow = len(widths) - wide_stages(len(widths))
        """Blocks that compute in 16 bits in mixed precision, from the first on."""
        self.stddev = GroupStddev(group) if group > 1 else nn.Identity()
        self.conv = EqualizedConv(last + (group > 1), last, 3)
        self.linear = EqualizedLinear(last * base[0] * base[1], last, active=True)
        self.mapping = mapping
        self.logit = EqualizedLinear(last, 1 if mapping is None else last)
        self.heads = Heads(last, heads)

    def forward(self, x: Tensor, cond: Tree) -> Verdict:
        dtype = self.logit.weight.dtype
        h, x = self._down(self.from_rgb(x), x, range(self.narrow))  # [N, F, h, w], [N, C, h, w]
        with full_precision(x):
            h, _ = self._down(h.to(dtype), x.to(dtype), range(self.narrow, len(self.blocks)))
            h = self.conv(self.stddev(h))  # [N, F, base, base]
            features = self.linear(h.flatten(1))  # [N, F]
            logits: Tensor = self.logit(features)
            if self.mapping is not None:
                label = self.mapping(None, cond)[:, 0]
                logits = (logits * label).sum(1) / math.sqrt(logits.shape[1])
            return Verdict(logits.flatten(), self.heads(features), features)

    def _down(self, h: Tensor, x: Tensor, blocks: range) -> tuple[Tensor, Tensor]:
        """Features [N, F, h, w] and the image that has entered them, after these blocks."""
        for i in blocks:
            h = self.blocks[i](h)
            if self.lower_rgb:
                x = downsampled(x, 1, stride=2)  # [N, C, h, w]
                h = h + self.lower_rgb[i](x)
        return h, x
