"""The residual networks of WGAN-GP, SNGAN and SAGAN.

Improved Training of Wasserstein GANs (Gulrajani et al., 2017), arXiv:1704.00028, appendix F;
Spectral Normalization for GANs (Miyato et al., 2018), arXiv:1802.05957, tables 4 and 5;
cGANs with Projection Discriminator (Miyato & Koyama, 2018), arXiv:1802.05637, appendix A;
Self-Attention Generative Adversarial Networks (Zhang et al., 2018), arXiv:1805.08318, section 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import pairwise
from typing import Any, ClassVar, Literal

from torch import Tensor, nn

from ganforge.api import Architecture, DataSpec, Field, Networks, Tree, Verdict
from ganforge_architectures.attention import SelfAttention
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
from ganforge_architectures.layers import Layers, xavier
from ganforge_architectures.plans import BlockPlan
from ganforge_architectures.residual import DownBlock, ResidualGenerator, StemBlock
from ganforge_architectures.shapes import Grid, image_grid

PLANS = {
    28: BlockPlan(7, (1, 1, 1), (1, 1, 1, 1), 2),  # the 32x32 networks with one up-block fewer
    32: BlockPlan(4, (1, 1, 1, 1), (1, 1, 1, 1), 2),
    48: BlockPlan(6, (8, 4, 2, 1), (1, 2, 4, 8, 16), 4),
    64: BlockPlan(4, (16, 8, 4, 2, 1), (1, 2, 4, 8, 16), 5),
    128: BlockPlan(4, (16, 16, 8, 4, 2, 1), (1, 2, 4, 8, 16, 16), 5),
}


class ResNet(Architecture):
    """Images of any size that is base x 2^k in height and width, k >= 2, with a base of 4 to 7 for the
    shorter side; the papers have square ones of 32, 48, 64 and 128.

    The defaults are WGAN-GP's networks; SNGAN's have `spectral_norm = true`, `pool = "sum"`, and
    `g_width = 256` for 32x32; SAGAN's also `g_spectral_norm = true`, `attention = 32` and
    `conditioning = "conditional_bn"`. Convolutions and linear layers are initialized with Xavier's
    uniform distribution with gain sqrt 2 within blocks and 1 elsewhere; those of condition and heads
    uniformly in +-1/sqrt(inputs).
    """

    source: ClassVar[str] = (
        "Improved Training of Wasserstein GANs (Gulrajani et al., 2017), arXiv:1704.00028, appendix F; "
        "Spectral Normalization for GANs (Miyato et al., 2018), arXiv:1802.05957, tables 4 and 5"
    )

    type: Literal["resnet"] = "resnet"
    also_called: ClassVar[tuple[str, ...]] = ("sngan", "sagan", "wgan_gp")
    example: ClassVar[Mapping[str, Any]] = {
        "data": {"type": "squares", "size": 28},
        "nets": {"type": "resnet", "g_width": 4, "d_width": 4},
    }
    g_width: int = Field(
        0, ge=0, description="Channels of the generator's last block; 0 = 128 up to 32x32, 64 above."
    )
    d_width: int = Field(
        0, ge=0, description="Channels of the discriminator's first block; 0 = 128 up to 32x32, 64 above."
    )
    conditioning: Conditioning = "auto"
    condition_dim: ConditionDim = 128
    spectral_norm: bool = Field(False, description="Spectral normalization of the discriminator.")
    g_spectral_norm: bool = Field(False, description="Spectral normalization of the generator.")
    norm: Literal["none", "layer"] = Field(
        "none", description="Normalization in the discriminator's blocks after the first."
    )
    pool: Literal["mean", "sum"] = Field(
        "mean", description="Pooling over pixels before the logit: mean as in WGAN-GP, sum as in SNGAN."
    )
    attention: int = Field(
        0,
        ge=0,
        description="Side in pixels of the feature map with self-attention in both networks; 0 = off.",
    )

    def build(self, spec: DataSpec, z_dim: int, heads: Mapping[str, int]) -> Networks:
        grid = image_grid(self.type, spec)
        plan = _plan(grid)
        plan.check_attention(self.type, self.attention)
        how = scheme(self.type, self.conditioning, spec, heads)
        first = LatentInput(z_dim, how, self.condition_dim)
        usual = 128 if grid.shorter <= 32 else 64
        return Networks(
            Generator(
                first,
                plan,
                grid.base,
                self.g_width or usual,
                spec.shape[0],
                norm_width=how.norm_width,
                attention=self.attention,
                layers=Layers(xavier, self.g_spectral_norm),
            ),
            Discriminator(
                spec.shape,
                plan,
                self.d_width or usual,
                how,
                heads,
                norm=self.norm,
                pool=self.pool,
                attention=self.attention,
                layers=Layers(xavier, self.spectral_norm),
            ),
        )


def _plan(grid: Grid) -> BlockPlan:
    """The blocks for images of this size, by their shorter side: the papers', or of the same pattern."""
    known = PLANS.get(grid.shorter)
    if known is not None:
        return known
    if grid.shorter <= 32:
        return BlockPlan(
            min(grid.base), (1,) * (grid.halvings + 1), (1,) * (grid.halvings + 2), grid.halvings
        )
    widths = [min(2**block, 16) for block in range(grid.halvings + 1)]
    return BlockPlan(min(grid.base), tuple(widths[::-1]), tuple(widths), grid.halvings)


class Generator(ResidualGenerator):
    """z [N, z_dim], cond [N, K] or None -> images [N, C, H, W] in [-1, 1]."""

    def __init__(
        self,
        first: LatentInput,
        plan: BlockPlan,
        base: tuple[int, int],
        width: int,
        channels: int,
        *,
        norm_width: int,
        attention: int,
        layers: Layers,
    ) -> None:
        super().__init__()
        self.first = first
        norm = partial(BatchNorm, width=norm_width)
        self.grow(first.width, plan, base, width, channels, norm, attention, layers)

    def forward(self, z: Tensor, cond: Tree) -> Tensor:
        return self.images(self.first(z, cond), [cond] * len(self.blocks))


class Discriminator(nn.Module):
    """x [N, C, H, W], cond [N, K] or None -> `Verdict`; the features are the pooled ones.

    A block's first convolution keeps the channels; if `wide`, it has those of the block's output.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        plan: BlockPlan,
        width: int,
        how: Scheme,
        heads: Mapping[str, int],
        *,
        norm: Literal["none", "layer"],
        pool: Literal["mean", "sum"],
        attention: int,
        layers: Layers,
        wide: bool = False,
    ) -> None:
        super().__init__()
        channels, height, columns = shape
        plane = how.discriminator == "concat"
        self.plane = ConditionPlane(how.width, (height, columns)) if plane else None
        self.pool = pool
        widths = [width * multiple for multiple in plan.d]
        trunk: list[nn.Module] = [StemBlock(channels + plane, widths[0], layers)]
        for i, (inputs, outputs) in enumerate(pairwise(widths), start=1):
            hidden, halve = outputs if wide else inputs, i < plan.halvings
            trunk.append(DownBlock(inputs, hidden, outputs, halve=halve, norm=norm, layers=layers))
        if attention:
            after = plan.d_sides().index(attention)
            trunk.insert(after + 1, SelfAttention(widths[after], layers))
        self.trunk = nn.Sequential(*trunk, nn.ReLU())
        self.logit = layers.linear(widths[-1], 1)
        self.projection: Projection | None = None
        if how.discriminator == "projection":
            self.projection = Projection(how.width, widths[-1], layers)
        self.heads = Heads(widths[-1], heads)

    def forward(self, x: Tensor, cond: Tree) -> Verdict:
        h = self.trunk(x if self.plane is None else self.plane(x, cond))  # [N, F, H', W']
        features = h.mean(dim=(2, 3)) if self.pool == "mean" else h.sum(dim=(2, 3))  # [N, F]
        logits = self.logit(features).flatten()  # [N]
        if self.projection is not None:
            logits = logits + self.projection(features, cond)
        return Verdict(logits, self.heads(features), features)
