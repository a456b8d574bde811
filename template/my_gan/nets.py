"""The architecture: a generator and a discriminator for the shape of the data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from ganforge.api import Architecture, DataSpec, Field, Networks, Verdict


class Generator(nn.Module):
    """z [N, Z] and conditions [N, K] -> samples [N, *shape] in [-1, 1]."""

    def __init__(self, inputs: int, width: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape
        self.layers = nn.Sequential(nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, math.prod(shape)))

    def forward(self, z: Tensor, cond: Tensor | None) -> Tensor:
        x = z if cond is None else torch.cat([z, cond.flatten(1)], 1)
        samples: Tensor = self.layers(x).tanh().view(-1, *self.shape)
        return samples


class Discriminator(nn.Module):
    """Samples [N, *shape] and conditions [N, K] -> a verdict with logits [N]."""

    def __init__(self, inputs: int, width: int, heads: Mapping[str, int]) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(inputs, width), nn.LeakyReLU(0.2))
        self.logit = nn.Linear(width, 1)
        self.heads = nn.ModuleDict({head: nn.Linear(width, outputs) for head, outputs in heads.items()})

    def forward(self, x: Tensor, cond: Tensor | None) -> Verdict:
        x = x.flatten(1) if cond is None else torch.cat([x.flatten(1), cond.flatten(1)], 1)
        features = self.trunk(x)
        heads = {name: head(features) for name, head in self.heads.items()}
        return Verdict(self.logit(features).squeeze(1), heads, features)


class MyNets(Architecture):
    """Two networks of one hidden layer."""

    type: Literal["my"] = "my"
    width: int = Field(128, ge=1, description="Units of the hidden layer.")

    def build(self, spec: DataSpec, z_dim: int, heads: Mapping[str, int]) -> Networks:
        pixels, labels = math.prod(spec.shape), math.prod(spec.labels.shape) if spec.labels.shape else 0
        return Networks(
            Generator(z_dim + labels, self.width, spec.shape),
            Discriminator(pixels + labels, self.width, heads),
        )
