"""The residual generator of SRGAN: a small image to a larger one, by pixel shuffle.

Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network (Ledig et al.,
2016), arXiv:1609.04802, figure 4; without normalization as in Enhanced Deep Residual Networks for
Single Image Super-Resolution (Lim et al., 2017), arXiv:1707.02921. Added here: the tanh, which keeps
images in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from ganforge.api import DataSpec, Field, Networks, Tree, UserError
from ganforge_architectures.conditioning import planes
from ganforge_architectures.layers import Layers, fan_in_normal
from ganforge_architectures.patch import NoCondition, Norm, Patched, image_condition, norm_of

FACTORS = (1, 2, 4, 8)


class Upscaler(Patched):
    """Residual blocks at the condition's resolution, then pixel shuffles; with a patch discriminator.

    The latent is not used. The generator's weights are initialized from N(0, 1/fan in), the
    discriminator's from N(0, `init_std`).
    """

    source: ClassVar[str] = (
        "Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network (Ledig et "
        "al., 2016), arXiv:1609.04802, figure 4"
    )

    type: Literal["upscaler"] = "upscaler"
    example: ClassVar[Mapping[str, Any]] = {
        "task": {"type": "upscale"},
        "data": {"type": "squares", "labels": "image", "small": 4},
        "nets": {"type": "upscaler", "width": 4, "blocks": 1, "d_width": 4, "d_layers": 1, "d_norm": "none"},
    }
    width: int = Field(64, ge=1, description="Channels of all hidden layers of the generator.")
    blocks: int = Field(16, ge=1, description="Residual blocks.")
    norm: Norm = Field(
        "batch",
        description="Normalization in the generator: batch, as in SRGAN; none, as in EDSR; or instance.",
    )
    show_condition: bool = Field(
        False,
        description="The discriminator sees an image together with its condition; false = alone.",
    )

    def build(self, spec: DataSpec, z_dim: int, heads: Mapping[str, int]) -> Networks:
        discriminator = self.discriminator(spec, heads)
        condition = image_condition(self.type, spec)
        if condition is None:
            return Networks(NoCondition(self.type), discriminator)
        doublings = FACTORS.index(self._factor(condition, spec))
        generator = Generator(
            condition[0], spec.shape[0], self.width, self.blocks, doublings, self.norm, Layers(fan_in_normal)
        )
        return Networks(generator, discriminator)

    def _factor(self, condition: tuple[int, int, int], spec: DataSpec) -> int:
        """How many times larger the image is than its condition."""
        _, low, narrow = condition
        _, height, width = spec.shape
        for factor in FACTORS:
            if (low * factor, narrow * factor) == (height, width):
                return factor
        raise UserError(
            f"nets 'upscaler': the condition has {low}x{narrow} pixels, but the image {height}x{width}; both "
            "sides must be larger by the same factor, one of 1, 2, 4, 8"
        )


class Generator(nn.Module):
    """z (not used), cond [N, C', H, W] -> images [N, C, H 2^d, W 2^d] in [-1, 1], d = `doublings`."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        width: int,
        blocks: int,
        doublings: int,
        norm: Norm,
        layers: Layers,
    ) -> None:
        super().__init__()
        bias = norm == "none"
        self.first = nn.Sequential(layers.conv(inputs, width, 9, padding=4), nn.PReLU())
        self.trunk = nn.Sequential(
            *(Block(width, norm, layers, blocks) for _ in range(blocks)),
            layers.conv(width, width, 3, padding=1, bias=bias),
            *norm_of(norm, width),
        )
        grow: list[nn.Module] = []
        for _ in range(doublings):
            grow += [layers.conv(width, 4 * width, 3, padding=1), nn.PixelShuffle(2), nn.PReLU()]
        self.grow = nn.Sequential(*grow)
        self.out = layers.conv(width, outputs, 9, padding=4)

    def forward(self, z: Tensor, cond: Tree) -> Tensor:
        h = self.first(planes(cond))
        return torch.tanh(self.out(self.grow(h + self.trunk(h))))


class Block(nn.Module):
    """[N, C, H, W] -> the same: x + norm(conv(prelu(norm(conv(x))))), 3x3.

    Without normalization the last convolution is initialized smaller by the number of blocks, whose
    sum would otherwise grow with it.
    """

    def __init__(self, width: int, norm: Norm, layers: Layers, blocks: int) -> None:
        super().__init__()
        bias = norm == "none"
        self.body = nn.Sequential(
            layers.conv(width, width, 3, padding=1, bias=bias),
            *norm_of(norm, width),
            nn.PReLU(),
            layers.conv(width, width, 3, padding=1, bias=bias, gain=1 / blocks if bias else 1.0),
            *norm_of(norm, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.body(x)
        return out
