"""A discriminator on frozen features, mixed by frozen random projections."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, interpolate, leaky_relu

from ganforge.api import Architecture, DataSpec, Field, Networks, UserError, Verdict


class Pyramid(nn.Module):
    """Frozen random features of four scales, and their mixtures across channels and scales (CCM, CSM).

    The weights are buffers, so that no optimizer has them."""

    def __init__(self, channels: int, width: int, scales: int) -> None:
        super().__init__()
        self.scales = scales
        sizes = [channels, *(width * 2**level for level in range(scales))]
        for level, (a, b) in enumerate(itertools.pairwise(sizes)):
            self.register_buffer(f"feature_{level}", torch.randn(b, a, 3, 3) * (2 / (9 * a)) ** 0.5)
            self.register_buffer(f"channel_{level}", torch.randn(width, b, 1, 1) * b**-0.5)
            self.register_buffer(f"scale_{level}", torch.randn(width, width, 3, 3) * (9 * width) ** -0.5)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Images [N, C, H, W] -> mixtures [N, width, H / 2^(i + 1), W / 2^(i + 1)], finest first."""
        features = []
        for level in range(self.scales):
            x = leaky_relu(conv2d(x, self.get_buffer(f"feature_{level}"), stride=2, padding=1), 0.2)
            features.append(conv2d(x, self.get_buffer(f"channel_{level}")))
        mixed = [features[-1]]
        for level in reversed(range(self.scales - 1)):
            coarse = interpolate(mixed[0], size=features[level].shape[2:], mode="bilinear")
            mixed.insert(0, conv2d(features[level] + coarse, self.get_buffer(f"scale_{level}"), padding=1))
        return mixed


class OnFeatures(nn.Module):
    """One small discriminator a scale: logits {"scale_i": [N, 1, h, w]}."""

    def __init__(self, spec: DataSpec, width: int, scales: int, heads: Mapping[str, int]) -> None:
        super().__init__()
        self.pyramid = Pyramid(spec.shape[0], width, scales)
        self.judges = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width, width, 3, 1, 1), nn.LeakyReLU(0.2), nn.Conv2d(width, 1, 1))
            for _ in range(scales)
        )
        self.heads = nn.ModuleDict({name: nn.Linear(width, outputs) for name, outputs in heads.items()})

    def forward(self, x: Tensor, cond: Tensor | None) -> Verdict:
        mixed = self.pyramid(x)
        logits = {
            f"scale_{i}": judge(each) for i, (judge, each) in enumerate(zip(self.judges, mixed, strict=True))
        }
        trunk = mixed[-1].mean((2, 3))
        return Verdict(logits, {name: head(trunk) for name, head in self.heads.items()}, trunk)


class Projected(Architecture):
    """The generator of another architecture against discriminators on a frozen feature pyramid."""

    type: Literal["acme_projected"] = "acme_projected"
    source: ClassVar[str] = (
        "Projected GANs Converge Faster (Sauer, Chitta, Müller & Geiger, 2021), arXiv:2111.01007, section 3, with "
        "random features"
    )
    example: ClassVar[Mapping[str, Any]] = {
        "nets": {"type": "acme_projected", "of": {"type": "dcgan", "width": 4}, "width": 4, "scales": 2}
    }
    of: Architecture = Field(description="The architecture with the generator: a table [nets.of].")
    width: int = Field(32, ge=1, description="Channels of each mixture.")
    scales: int = Field(4, ge=1, description="Scales of the pyramid, each of half the resolution.")

    def build(self, spec: DataSpec, z_dim: int, heads: Mapping[str, int]) -> Networks:
        if not spec.is_image or min(spec.shape[1:]) < 2**self.scales:
            raise UserError(
                f"nets '{self.type}' needs images of at least {2**self.scales} pixels a side, got {spec.shape}; "
                "lower scales"
            )
        generator = self.of.build(spec, z_dim, {}).generator
        return Networks(generator, OnFeatures(spec, self.width, self.scales, heads))
