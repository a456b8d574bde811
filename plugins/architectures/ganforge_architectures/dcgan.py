"""DCGAN: strided convolutions and batch norm, conditional if the data has labels.

Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks
(Radford, Metz & Chintala, 2015), arXiv:1511.06434; conditioned by concatenation as in
Conditional Generative Adversarial Nets (Mirza & Osindero, 2014), arXiv:1411.1784.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from ganforge.api import Architecture, DataSpec, Field, Networks, Tree, UserError, Verdict
from ganforge_architectures.classifier import Classifier
from ganforge_architectures.conditioning import (
    BatchNorm,
    ConditionDim,
    Conditioning,
    ConditionPlane,
    LatentInput,
    Projection,
    Scheme,
    scheme,
)
from ganforge_architectures.heads import Heads
from ganforge_architectures.layers import Layers, normal
from ganforge_architectures.minibatch_stddev import MinibatchStddev
from ganforge_architectures.shapes import image_grid

DNorm = Literal["batch", "layer", "none"]
Pool = Literal["none", "sum"]


class DCGAN(Architecture):
    """Images of any size that is base x 2^k in height and width, k >= 2, with a base of 4 to 7 for the
    shorter side.

    Convolutions are initialized from N(0, `init_std`), as is the projection's embedding; batch norm with
    gain 1 and bias 0; the linear layers of condition and heads uniformly in +-1/sqrt(inputs).
    """

    source: ClassVar[str] = (
        "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks "
        "(Radford, Metz & Chintala, 2015), arXiv:1511.06434"
    )

    type: Literal["dcgan"] = "dcgan"
    example: ClassVar[Mapping[str, Any]] = {"nets": {"type": "dcgan", "width": 4, "condition_dim": 4}}
    width: int = Field(
        64,
        ge=1,
        description="Channels of the discriminator's first layer and of the generator's last hidden one; "
        "doubled with each halving of the resolution.",
    )
    max_width: int = Field(512, ge=1, description="Maximum channels of any layer.")
    conditioning: Conditioning = "auto"
    condition_dim: ConditionDim = 200
    spectral_norm: bool = Field(False, description="Spectral normalization of the discriminator.")
    d_norm: DNorm = Field(
        "batch",
        description="Normalization in the discriminator; use layer or none with gradient penalties, "
        "which batch norm invalidates.",
    )
    minibatch_stddev: bool = Field(
        False, description="Give the discriminator the standard deviation over the batch; false = off."
    )
    fc_width: int = Field(
        0,
        ge=0,
        description="Width of a fully connected layer before the generator's convolutions and after the "
        "discriminator's, as in InfoGAN; 0 = off.",
    )
    pool: Pool = Field(
        "none",
        description="Pooling of the discriminator's features over pixels before projection and heads: "
        "none, or sum as in SNGAN, where an object counts alike wherever it is. The logit sees every pixel.",
    )
    head_width: int = Field(
        0, ge=0, description="Width of a hidden layer in each head that a term needs; 0 = no hidden layer."
    )
    classifier_width: int = Field(
        0,
        ge=0,
        description="Channels of the first layer of a classifier with a trunk of its own, which answers the "
        "heads in place of the discriminator: batch norm, no spectral norm, trained with the discriminator "
        "(discriminator.lr_factors = {classifier = 2.5} for its learning rate); 0 = heads on the "
        "discriminator's trunk.",
    )
    init_std: float = Field(
        0.02, gt=0, description="Standard deviation of the initial weights of convolutions."
    )

    def build(self, spec: DataSpec, z_dim: int, heads: Mapping[str, int]) -> Networks:
        if self.fc_width and self.pool != "none":
            raise UserError(
                f"nets '{self.type}': expected pool = \"none\" with a fully connected layer, got "
                f'pool = "{self.pool}" with fc_width = {self.fc_width}'
            )
        grid = image_grid(self.type, spec)
        widths = self._widths(self.width, grid.halvings)
        classifier = None
        if self.classifier_width and heads:
            trunk = self._widths(self.classifier_width, grid.halvings)
            classifier = Classifier(spec.shape[0], trunk, heads, self.head_width)
            heads = {}
        how = scheme(self.type, self.conditioning, spec, heads)
        return Networks(
            Generator(
                LatentInput(z_dim, how, self.condition_dim),
                widths[::-1],
                grid.base,
                spec.shape[0],
                how.norm_width,
                fc_width=self.fc_width,
                layers=Layers(normal(self.init_std)),
            ),
            Discriminator(
                spec.shape,
                widths,
                grid.base,
                how,
                heads,
                classifier=classifier,
                d_norm=self.d_norm,
                stddev=self.minibatch_stddev,
                fc_width=self.fc_width,
                pool=self.pool,
                head_width=self.head_width,
                layers=Layers(normal(self.init_std), self.spectral_norm),
            ),
        )

    def _widths(self, first: int, halvings: int) -> list[int]:
        return [min(first * 2**i, self.max_width) for i in range(halvings)]


class Generator(nn.Module):
    """z [N, z_dim], cond [N, K] or None -> images [N, C, H, W] in [-1, 1]."""

    def __init__(
        self,
        first: LatentInput,
        widths: list[int],
        base: tuple[int, int],
        channels: int,
        norm_width: int,
        *,
        fc_width: int,
        layers: Layers,
    ) -> None:
        super().__init__()
        self.first = first
        self.dense = (
            nn.Sequential(
                layers.linear(first.width, fc_width, bias=False),
                nn.BatchNorm1d(fc_width),
                nn.ReLU(inplace=True),
            )
            if fc_width
            else nn.Identity()
        )
        convs = [layers.from_point(fc_width or first.width, widths[0], base, bias=False)]
        for inputs, outputs in zip(widths, [*widths[1:], channels], strict=True):
            convs.append(layers.conv_transpose(inputs, outputs, 4, stride=2, padding=1, bias=False))
        self.convs = nn.ModuleList(convs)
        self.norms = nn.ModuleList(BatchNorm(width, norm_width) for width in widths)

    def forward(self, z: Tensor, cond: Tree) -> Tensor:
        *hidden, last = self.convs
        h: Tensor = self.dense(self.first(z, cond)).unflatten(1, (-1, 1, 1))  # [N, F, 1, 1]
        for conv, norm in zip(hidden, self.norms, strict=True):
            h = norm(conv(h), cond).relu_()  # [N, C, H, W] -> [N, C', 2H, 2W], from 1x1 to the base first
        return torch.tanh(last(h))  # [N, C, 2H, 2W]


class Discriminator(nn.Module):
    """x [N, C, H, W], cond [N, K] or None -> `Verdict`; the features are the trunk's last
    activations, flattened."""

    def __init__(
        self,
        shape: tuple[int, ...],
        widths: list[int],
        base: tuple[int, int],
        how: Scheme,
        heads: Mapping[str, int],
        *,
        classifier: Classifier | None = None,
        d_norm: DNorm,
        stddev: bool,
        fc_width: int,
        pool: Pool,
        head_width: int,
        layers: Layers,
    ) -> None:
        super().__init__()
        channels, height, width = shape
        plane = how.discriminator == "concat"
        self.plane = ConditionPlane(how.width, (height, width)) if plane else None
        trunk: list[nn.Module] = [
            layers.conv(channels + plane, widths[0], 4, stride=2, padding=1, bias=False),
            nn.LeakyReLU(0.2, inplace=True),
        ]
        for inputs, outputs in pairwise(widths):
            # Normalization has a bias of its own; without one the convolution needs it.
            trunk += [
                layers.conv(inputs, outputs, 4, stride=2, padding=1, bias=d_norm == "none"),
                *_norm(d_norm, outputs),
                nn.LeakyReLU(0.2, inplace=True),
            ]
        if stddev:
            trunk.append(MinibatchStddev())
        last = widths[-1] + stddev
        features = last * base[0] * base[1]
        if fc_width:
            trunk += [
                nn.Flatten(),
                layers.linear(features, fc_width, bias=d_norm == "none"),
                *_norm(d_norm, fc_width, points=True),
                nn.LeakyReLU(0.2, inplace=True),
            ]
            features = fc_width
        self.trunk = nn.Sequential(*trunk)
        self.logit: nn.Module = (
            layers.linear(features, 1) if fc_width else layers.to_point(last, 1, base, bias=False)
        )
        self.pool = pool
        if pool == "sum":
            features = last
        self.projection = (
            Projection(how.width, features, layers) if how.discriminator == "projection" else None
        )
        self.heads = Heads(features, heads, head_width)
        self.classifier = classifier

    def forward(self, x: Tensor, cond: Tree) -> Verdict:
        h = self.trunk(
            x if self.plane is None else self.plane(x, cond)
        )  # [N, C, *base], or [N, F] after a fully connected layer
        features = h.flatten(1)  # [N, F]
        logits = self.logit(h).flatten()  # [N]
        pooled = features if self.pool == "none" else h.sum(dim=(2, 3))  # [N, F] or [N, C]
        if self.projection is not None:
            logits = logits + self.projection(pooled, cond)
        heads = self.heads(pooled) if self.classifier is None else self.classifier(x)
        return Verdict(logits, heads, features)


def _norm(kind: DNorm, channels: int, points: bool = False) -> list[nn.Module]:
    """After a convolution, or after a fully connected layer (`points`)."""
    if kind == "batch":
        return [nn.BatchNorm1d(channels) if points else nn.BatchNorm2d(channels)]
    return [nn.GroupNorm(1, channels)] if kind == "layer" else []
