"""BigGAN: wide residual networks whose generator receives a chunk of the latent at every block.

Large Scale GAN Training for High Fidelity Natural Image Synthesis (Brock, Donahue & Simonyan,
2018), arXiv:1809.11096, appendix B; the networks for 32x32 and 64x64 as in the authors' code.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from ganforge.api import Architecture, DataSpec, Field, Networks, Tree
from ganforge_architectures.conditioning import BatchNorm, row, scheme
from ganforge_architectures.layers import Layers, normal, orthogonal
from ganforge_architectures.plans import BlockPlan
from ganforge_architectures.residual import ResidualGenerator
from ganforge_architectures.resnet import Discriminator
from ganforge_architectures.shapes import image_side

PLANS = {
    28: BlockPlan(7, (4, 4, 4), (4, 4, 4, 4), 2),  # the 32x32 networks with one up-block fewer
    32: BlockPlan(4, (4, 4, 4, 4), (4, 4, 4, 4), 2),
    64: BlockPlan(4, (16, 16, 8, 4, 2), (1, 2, 4, 8, 16), 4),
    128: BlockPlan(4, (16, 16, 8, 4, 2, 1), (1, 2, 4, 8, 16, 16), 5),
}
ATTENTION = {28: 0, 32: 0, 64: 32, 128: 64}
"""Image side -> side of the feature map with self-attention, as in the paper and its code; 0 = none."""


class BigGAN(Architecture):
    """Square images of side 28, 32, 64 or 128.

    The latent is split into equal chunks, one for the first linear layer and one for each block of the
    generator; the remainder goes to the first. A latent with fewer numbers than chunks goes to the first
    entirely. Biases are initialized to 0, the linear layers of heads uniformly in +-1/sqrt(inputs).
    """

    source: ClassVar[str] = (
        "Large Scale GAN Training for High Fidelity Natural Image Synthesis (Brock, Donahue & Simonyan, "
        "2018), arXiv:1809.11096, appendix B"
    )

    type: Literal["biggan"] = "biggan"
    example: ClassVar[Mapping[str, Any]] = {
        "data": {"type": "squares", "size": 28},
        "nets": {"type": "biggan", "channels": 4, "shared_dim": 4, "attention": 0},
    }
    channels: int = Field(
        64,
        ge=1,
        description="Unit of width (ch = 96 in the paper): all layers have a multiple of it.",
    )
    conditioning: Literal["auto", "none", "conditional_bn", "generator_bn"] = Field(
        "auto",
        description="How labels enter the networks. auto: conditional_bn if the data has labels "
        "(generator_bn if a term needs a classifier of labels, as in AC-GAN), otherwise none. none: not at "
        "all. conditional_bn: the label, with the latent, sets gain and bias of the generator's batch norms, "
        "and the discriminator adds the inner product of features and embedded label. generator_bn: the "
        "same generator with an unconditional discriminator.",
    )
    shared_dim: int = Field(
        128, ge=1, description="Width of the label's linear embedding, shared by all batch norms."
    )
    spectral_norm: bool = Field(True, description="Spectral normalization of both networks; false = off.")
    attention: int = Field(
        -1,
        ge=-1,
        description="Side in pixels of the feature map with self-attention in both networks; 0 = off, "
        "-1 = as in the paper and its code: 64 for images of 128x128, 32 for 64x64, off for smaller ones.",
    )
    init: Literal["orthogonal", "normal"] = Field(
        "orthogonal", description="Initial weights: orthogonal matrices, or N(0, 0.02)."
    )

    def build(self, spec: DataSpec, z_dim: int, heads: Mapping[str, int]) -> Networks:
        side = image_side(self.type, spec, tuple(PLANS), f"one of {', '.join(map(str, PLANS))}")
        plan = PLANS[side]
        attention = ATTENTION[side] if self.attention < 0 else self.attention
        plan.check_attention(self.type, attention)
        how = scheme(self.type, self.conditioning, spec, heads, auto=("conditional_bn", "generator_bn"))
        init = orthogonal if self.init == "orthogonal" else normal(0.02)
        layers = Layers(init, self.spectral_norm)
        # The authors found that spectral normalization of the shared embedding cripples the generator.
        embed = Layers(init).linear(how.width, self.shared_dim, bias=False) if how.norm_width else None
        return Networks(
            Generator(
                plan,
                self.channels,
                spec.shape[0],
                z_dim=z_dim,
                embed=embed,
                shared_dim=self.shared_dim if how.norm_width else 0,
                attention=attention,
                layers=layers,
            ),
            Discriminator(
                spec.shape,
                plan,
                self.channels,
                how,
                heads,
                norm="none",
                pool="sum",
                attention=attention,
                layers=layers,
                wide=True,
            ),
        )


class GuidedBatchNorm(nn.Module):
    """Batch norm with gain 1 + A g and bias B g, linear in a guide g [N, `width`]."""

    def __init__(self, channels: int, width: int, layers: Layers) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.gain = layers.linear(width, channels, bias=False)
        self.bias = layers.linear(width, channels, bias=False)

    def forward(self, x: Tensor, guide: Tensor) -> Tensor:
        gain, bias = 1 + self.gain(guide), self.bias(guide)  # [N, C] each
        return torch.addcmul(bias[:, :, None, None], gain[:, :, None, None], self.norm(x))


class Generator(ResidualGenerator):
    """z [N, z_dim], cond [N, K] or None -> images [N, C, H, W] in [-1, 1]."""

    def __init__(
        self,
        plan: BlockPlan,
        width: int,
        channels: int,
        *,
        z_dim: int,
        embed: nn.Module | None,
        shared_dim: int,
        attention: int,
        layers: Layers,
    ) -> None:
        super().__init__()
        blocks = len(plan.g) - 1
        chunk = z_dim // (blocks + 1)
        self.chunks = [z_dim - blocks * chunk, *[chunk] * blocks]
        self.embed = embed
        guide = chunk + shared_dim
        norm = partial(GuidedBatchNorm, width=guide, layers=layers) if guide else partial(BatchNorm, width=0)
        base = (plan.base, plan.base)
        self.grow(self.chunks[0], plan, base, width, channels, norm, attention, layers)

    def forward(self, z: Tensor, cond: Tree) -> Tensor:
        first, *guides = torch.split(z, self.chunks, dim=1)  # [N, first], then [N, chunk] per block
        if self.embed is not None:
            shared = self.embed(row(cond))  # [N, shared]
            guides = [torch.cat([guide, shared], dim=1) for guide in guides]  # [N, chunk + shared]
        return self.images(first, guides)
