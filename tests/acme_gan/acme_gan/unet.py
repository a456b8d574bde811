"""A discriminator that judges the whole image and each of its pixels."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, leaky_relu

from ganforge.api import Architecture, DataSpec, Field, Networks, UserError, Verdict


class UNet(nn.Module):
    """x [N, C, H, W] -> logits {"image": [N], "pixels": [N, 1, H, W]}."""

    def __init__(self, spec: DataSpec, width: int, depth: int, heads: Mapping[str, int]) -> None:
        super().__init__()
        sizes = [spec.shape[0], *(width * 2**level for level in range(depth))]
        self.down = nn.ModuleList(nn.Conv2d(a, b, 4, 2, 1) for a, b in itertools.pairwise(sizes))
        ups = list(zip(reversed(sizes[1:]), reversed(sizes[:-1]), strict=True))
        # Each level also gets the encoder's features of its resolution.
        self.up = nn.ModuleList(
            nn.Conv2d(a if i == 0 else 2 * a, b if i < depth - 1 else width, 3, 1, 1)
            for i, (a, b) in enumerate(ups)
        )
        self.pixel = nn.Conv2d(width + spec.shape[0], 1, 1)
        self.image = nn.Linear(sizes[-1], 1)
        self.embed = nn.Linear(spec.labels.width, sizes[-1], bias=False) if spec.labels.width else None
        self.heads = nn.ModuleDict({name: nn.Linear(sizes[-1], outputs) for name, outputs in heads.items()})

    def forward(self, x: Tensor, cond: Tensor | None) -> Verdict:
        levels, h = [x], x
        for layer in self.down:
            h = leaky_relu(layer(h), 0.2)
            levels.append(h)
        trunk = h.mean((2, 3))
        whole = self.image(trunk).squeeze(1)
        if self.embed is not None and cond is not None:
            whole = whole + (self.embed(cond) * trunk).sum(1)
        for layer, skip in zip(self.up, reversed(levels[:-1]), strict=True):
            h = leaky_relu(layer(interpolate(h, scale_factor=2)), 0.2)
            h = torch.cat([h, skip], 1)
        heads = {name: head(trunk) for name, head in self.heads.items()}
        return Verdict({"image": whole, "pixels": self.pixel(h)}, heads, trunk)


class UNetDiscriminated(Architecture):
    """The generator of another architecture against a U-Net."""

    type: Literal["acme_unet"] = "acme_unet"
    source: ClassVar[str] = (
        "A U-Net Based Discriminator for Generative Adversarial Networks (Schönfeld, Schiele & Khoreva, 2020), "
        "arXiv:2002.12655, section 3.1"
    )
    example: ClassVar[Mapping[str, Any]] = {
        "nets": {"type": "acme_unet", "of": {"type": "dcgan", "width": 4}, "width": 4, "depth": 2}
    }
    of: Architecture = Field(description="The architecture with the generator: a table [nets.of].")
    width: int = Field(64, ge=1, description="Channels of the first level; doubled with each.")
    depth: int = Field(4, ge=1, description="Levels, each of half the resolution.")

    def build(self, spec: DataSpec, z_dim: int, heads: Mapping[str, int]) -> Networks:
        if not spec.is_image or any(side % 2**self.depth for side in spec.shape[1:]):
            raise UserError(
                f"nets '{self.type}' needs images whose sides are multiples of {2**self.depth}, got "
                f"{spec.shape}; lower depth, or resize the data"
            )
        generator = self.of.build(spec, z_dim, {}).generator
        return Networks(generator, UNet(spec, self.width, self.depth, heads))
