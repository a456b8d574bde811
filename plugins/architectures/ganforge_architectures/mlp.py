"""Fully connected networks, for points and small images.

Generative Adversarial Networks (Goodfellow et al., 2014), arXiv:1406.2661; conditioned by
concatenation as in Conditional Generative Adversarial Nets (Mirza & Osindero, 2014), arXiv:1411.1784.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ganforge.api import Architecture, DataSpec, Field, Networks, Tree, Verdict
from ganforge_architectures.conditioning import HELP, LatentInput, Projection, Scheme, row, scheme
from ganforge_architectures.heads import Heads
from ganforge_architectures.layers import Layers, fan_in_linear, xavier

Activation = Literal["relu", "leaky_relu", "tanh"]
Widths = tuple[Annotated[int, Field(ge=1)], ...]


class MLP(Architecture):
    """For points [N, D], with a linear generator output, or images, with a tanh output.

    Every layer's weights and biases are initialized uniformly in +-1/sqrt(inputs).
    """

    source: ClassVar[str] = "Generative Adversarial Networks (Goodfellow et al., 2014), arXiv:1406.2661"

    type: Literal["mlp"] = "mlp"
    example: ClassVar[Mapping[str, Any]] = {"nets": {"type": "mlp", "g_hidden": [8], "d_hidden": [8]}}
    g_hidden: Widths = Field(
        (256, 256, 256), min_length=1, description="Units of each hidden layer of the generator, in order."
    )
    d_hidden: Widths = Field(
        (256, 256, 256),
        min_length=1,
        description="Units of each hidden layer of the discriminator, in order.",
    )
    activation: Activation = Field(
        "leaky_relu", description="After each hidden layer of both networks; leaky_relu has slope 0.2."
    )
    conditioning: Literal["auto", "none", "concat", "generator", "projection"] = Field(
        "auto", description=HELP
    )
    spectral_norm: bool = Field(False, description="Spectral normalization of the discriminator.")

    def build(self, spec: DataSpec, z_dim: int, heads: Mapping[str, int]) -> Networks:
        how = scheme(self.type, self.conditioning, spec, heads, images=True)
        return Networks(
            Generator(LatentInput(z_dim, how, 0), self.g_hidden, spec, self.activation),
            Discriminator(spec, self.d_hidden, how, heads, self.activation, self.spectral_norm),
        )


def _activation(name: Activation) -> nn.Module:
    if name == "tanh":
        return nn.Tanh()
    return nn.LeakyReLU(0.2, inplace=True) if name == "leaky_relu" else nn.ReLU(inplace=True)


class Generator(nn.Module):
    """z [N, z_dim], cond [N, K] or None -> points [N, D], or images [N, C, H, W] in [-1, 1]."""

    def __init__(self, first: LatentInput, hidden: Widths, spec: DataSpec, activation: Activation) -> None:
        super().__init__()
        self.first = first
        self.shape = spec.shape
        self.bounded = spec.is_image
        trunk: list[nn.Module] = []
        for inputs, outputs in zip((first.width, *hidden), hidden, strict=False):
            trunk += [fan_in_linear(inputs, outputs), _activation(activation)]
        self.trunk = nn.Sequential(*trunk, fan_in_linear(hidden[-1], math.prod(spec.shape)))

    def forward(self, z: Tensor, cond: Tree) -> Tensor:
        x: Tensor = self.trunk(self.first(z, cond)).unflatten(
            1, self.shape
        )  # [N, z_dim + K] -> [N, D] -> [N, *shape]
        return torch.tanh(x) if self.bounded else x


class Discriminator(nn.Module):
    """x [N, *shape], cond [N, K] or None -> `Verdict`; the features are the last hidden layer's."""

    def __init__(
        self,
        spec: DataSpec,
        hidden: Widths,
        how: Scheme,
        heads: Mapping[str, int],
        activation: Activation,
        spectral: bool,
    ) -> None:
        super().__init__()
        self.concat = how.discriminator == "concat"
        first = math.prod(spec.shape) + how.width * self.concat
        trunk: list[nn.Module] = []
        for inputs, outputs in zip((first, *hidden), hidden, strict=False):
            trunk += [_linear(inputs, outputs, spectral), _activation(activation)]
        self.trunk = nn.Sequential(*trunk)
        self.logit = _linear(hidden[-1], 1, spectral)
        self.projection: Projection | None = None
        if how.discriminator == "projection":
            self.projection = Projection(how.width, hidden[-1], Layers(xavier, spectral))
        self.heads = Heads(hidden[-1], heads)

    def forward(self, x: Tensor, cond: Tree) -> Verdict:
        flat = x.flatten(1)  # [N, D]
        if self.concat:
            flat = torch.cat([flat, row(cond).flatten(1)], dim=1)
        features = self.trunk(flat)
        logits = self.logit(features).flatten()
        if self.projection is not None:
            logits = logits + self.projection(features, cond)
        return Verdict(logits, self.heads(features), features)


def _linear(inputs: int, outputs: int, spectral: bool) -> nn.Module:
    layer = fan_in_linear(inputs, outputs)
    return spectral_norm(layer) if spectral else layer
