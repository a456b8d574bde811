"""The U-Net of pix2pix: an image to an image of the same size, with a shortcut at each resolution.

Image-to-Image Translation with Conditional Adversarial Networks (Isola, Zhu, Zhou & Efros, 2016),
arXiv:1611.07004, section 3.2.1 and appendix 6.1.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganforge.api import DataSpec, Field, Networks, Tree, UserError
from ganforge_architectures.conditioning import planes
from ganforge_architectures.layers import Layers, normal
from ganforge_architectures.patch import MAX_DOUBLINGS, NoCondition, Norm, Patched, image_condition, norm_of

MAX_DEPTH = 8
DROPPED = 3
"""Layers of the decoder with dropout, from the innermost on."""


class UNet(Patched):
    """A U-Net as generator, with a patch discriminator; for even sides.

    The latent is not used: the noise is dropout, which is off in evaluation mode, so that a condition
    has one sample. Weights are initialized from N(0, `init_std`).
    """

    source: ClassVar[str] = (
        "Image-to-Image Translation with Conditional Adversarial Networks (Isola, Zhu, Zhou & Efros, "
        "2016), arXiv:1611.07004, section 3.2"
    )

    type: Literal["unet"] = "unet"
    example: ClassVar[Mapping[str, Any]] = {
        "task": {"type": "translate"},
        "data": {"type": "squares", "labels": "image"},
        "nets": {"type": "unet", "width": 4, "d_width": 4, "d_layers": 1},
    }
    width: int = Field(
        64,
        ge=1,
        description="Channels of the generator's first layer; doubled with each halving, up to 8 times.",
    )
    depth: int = Field(
        0, ge=0, le=MAX_DEPTH, description="Halvings of the image; 0 = down to one pixel, or to an odd side."
    )
    norm: Norm = Field(
        "batch", description="Normalization in the generator: batch, instance (per image), or none."
    )
    dropout: float = Field(
        0.5,
        ge=0,
        lt=1,
        description="Share of the activations dropped in the three innermost layers of the decoder, while "
        "training; 0 = off.",
    )

    def build(self, spec: DataSpec, z_dim: int, heads: Mapping[str, int]) -> Networks:
        discriminator = self.discriminator(spec, heads)
        condition = image_condition(self.type, spec)
        if condition is None:
            return Networks(NoCondition(self.type), discriminator)
        if condition[1:] != spec.shape[1:]:
            raise UserError(
                f"nets 'unet': the condition has {condition[1]}x{condition[2]} pixels, but the image "
                f"{spec.shape[1]}x{spec.shape[2]}; make them equal, or use nets 'upscaler' for a smaller one"
            )
        generator = Generator(
            condition[0],
            spec.shape[0],
            [self.width * 2 ** min(i, MAX_DOUBLINGS) for i in range(self._depth(spec))],
            self.norm,
            self.dropout,
            Layers(normal(self.init_std)),
        )
        return Networks(generator, discriminator)

    def _depth(self, spec: DataSpec) -> int:
        """How often both sides can be halved, or `depth`."""
        height, width = spec.shape[1:]
        # The lowest set bit of either side.
        most = min(((height | width) & -(height | width)).bit_length() - 1, MAX_DEPTH)
        if most < 1 or self.depth > most:
            raise UserError(
                f"nets 'unet': an image of {height}x{width} can be halved {most} times, and "
                f"depth = {self.depth or 'at least 1'}; "
                + (f"use depth = {most} or less, or other images" if most else "use images of even sides")
            )
        return self.depth or most


class Generator(nn.Module):
    """z (not used), cond [N, C', H, W] -> images [N, C, H, W] in [-1, 1]."""

    def __init__(
        self, inputs: int, outputs: int, widths: list[int], norm: Norm, dropout: float, layers: Layers
    ) -> None:
        super().__init__()
        bias = norm == "none"
        down = [layers.conv(inputs, widths[0], 4, stride=2, padding=1, bias=bias)]
        for i, (a, b) in enumerate(pairwise(widths)):
            # The innermost map may be one pixel, which normalization would set to 0.
            normed = norm_of(norm, b) if i < len(widths) - 2 else []
            conv = layers.conv(a, b, 4, stride=2, padding=1, bias=bias)
            down.append(nn.Sequential(nn.LeakyReLU(0.2), conv, *normed))
        up: list[nn.Module] = []
        for i, b in enumerate(widths[-2::-1]):
            a = widths[-1] if i == 0 else 2 * widths[len(widths) - 1 - i]
            conv = layers.conv_transpose(a, b, 4, stride=2, padding=1, bias=bias)
            up.append(nn.Sequential(conv, *norm_of(norm, b), *_dropout(dropout if i < DROPPED else 0.0)))
        self.down = nn.ModuleList(down)
        self.up = nn.ModuleList(up)
        last = 2 * widths[0] if up else widths[0]
        self.out = layers.conv_transpose(last, outputs, 4, stride=2, padding=1)

    def forward(self, z: Tensor, cond: Tree) -> Tensor:
        maps: list[Tensor] = []
        h = planes(cond)
        for layer in self.down:
            h = layer(h)  # [N, width, H/2, W/2]
            maps.append(h)
        h = F.relu(h)
        for layer, shortcut in zip(self.up, maps[-2::-1], strict=True):
            h = torch.cat([layer(h), shortcut], dim=1).relu_()  # [N, 2 * width, 2H, 2W]
        return torch.tanh(self.out(h))  # [N, outputs, H, W]


def _dropout(share: float) -> list[nn.Module]:
    return [nn.Dropout(share)] if share else []
