"""The residual generator of CycleGAN: an image to an image of the same size.

Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks (Zhu, Park, Isola &
Efros, 2017), arXiv:1703.10593, appendix 7.2; the network is that of Perceptual Losses for Real-Time
Style Transfer (Johnson, Alahi & Fei-Fei, 2016), arXiv:1603.08155.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from ganforge.api import DataSpec, Field, Networks, Tree, UserError
from ganforge_architectures.conditioning import planes
from ganforge_architectures.layers import Layers, normal
from ganforge_architectures.patch import NoCondition, Norm, Patched, image_condition, norm_of

SMALL = 128
"""Images up to this side have 6 blocks by default, larger ones 9."""


class Translator(Patched):
    """Residual blocks at a quarter of the resolution as generator, with a patch discriminator.

    The latent is not used. Weights are initialized from N(0, `init_std`).
    """

    source: ClassVar[str] = (
        "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks (Zhu, Park, "
        "Isola & Efros, 2017), arXiv:1703.10593, appendix 7.2"
    )

    type: Literal["translator"] = "translator"
    example: ClassVar[Mapping[str, Any]] = {
        "task": {"type": "cycle"},
        "data": {"type": "squares", "labels": "image", "pairs": False},
        "nets": {"type": "translator", "width": 4, "blocks": 1, "d_width": 4, "d_layers": 1},
    }
    width: int = Field(
        64, ge=1, description="Channels of the generator's first layer; doubled with each of two halvings."
    )
    blocks: int = Field(
        0, ge=0, description="Residual blocks; 0 = 6 for images up to 128 pixels per side, 9 for larger ones."
    )
    norm: Norm = Field(
        "instance", description="Normalization in the generator: batch, instance (per image), or none."
    )
    d_norm: Norm = Field(
        "instance",
        description="Normalization in the discriminator: batch, instance, or none, as needed with "
        "spectral_norm and gradient penalties.",
    )

    def build(self, spec: DataSpec, z_dim: int, heads: Mapping[str, int]) -> Networks:
        discriminator = self.discriminator(spec, heads)
        condition = image_condition(self.type, spec)
        if condition is None:
            return Networks(NoCondition(self.type), discriminator)
        self._check(condition, spec)
        blocks = self.blocks or (6 if max(spec.shape[1:]) <= SMALL else 9)
        layers = Layers(normal(self.init_std))
        constant = any(part.kind != "image" for part in spec.labels.each.values())
        generator = Generator(condition[0], spec.shape[0], self.width, blocks, self.norm, layers, constant)
        return Networks(generator, discriminator)

    def _check(self, condition: tuple[int, int, int], spec: DataSpec) -> None:
        height, width = spec.shape[1:]
        if condition[1:] != (height, width):
            raise UserError(
                f"nets 'translator': the condition has {condition[1]}x{condition[2]} pixels, but the image "
                f"{height}x{width}; make them equal, or use nets 'upscaler' for a smaller one"
            )
        if height % 4 or width % 4 or min(height, width) < 8:
            raise UserError(
                f"nets 'translator': an image of {height}x{width} cannot be halved twice; use sides that "
                "are multiples of 4, from 8"
            )


class Generator(nn.Module):
    """z (not used), cond [N, C', H, W] -> images [N, C, H, W] in [-1, 1]."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        width: int,
        blocks: int,
        norm: Norm,
        layers: Layers,
        constant: bool = False,
    ) -> None:
        """`constant`: some of the inputs are labels as planes of one value."""
        super().__init__()
        bias = norm == "none"
        # The mean over pixels that instance normalization removes is all that a constant plane adds.
        first: Norm = "none" if constant and norm == "instance" else norm
        trunk: list[nn.Module] = [nn.ReflectionPad2d(3), layers.conv(inputs, width, 7, bias=first == "none")]
        trunk += [*norm_of(first, width), nn.ReLU(inplace=True)]
        for channels in (width, 2 * width):
            trunk += [
                layers.conv(channels, 2 * channels, 3, stride=2, padding=1, bias=bias),
                *norm_of(norm, 2 * channels),
                nn.ReLU(inplace=True),
            ]
        trunk += [Block(4 * width, norm, layers) for _ in range(blocks)]
        for channels in (4 * width, 2 * width):
            trunk += [
                layers.conv_transpose(
                    channels, channels // 2, 3, stride=2, padding=1, output_padding=1, bias=bias
                ),
                *norm_of(norm, channels // 2),
                nn.ReLU(inplace=True),
            ]
        self.trunk = nn.Sequential(*trunk, nn.ReflectionPad2d(3))
        self.out = layers.conv(width, outputs, 7)

    def forward(self, z: Tensor, cond: Tree) -> Tensor:
        return torch.tanh(self.out(self.trunk(planes(cond))))


class Block(nn.Module):
    """[N, C, H, W] -> the same: x + norm(conv(relu(norm(conv(x))))), 3x3 with reflect padding."""

    def __init__(self, channels: int, norm: Norm, layers: Layers) -> None:
        super().__init__()
        bias = norm == "none"
        self.body = nn.Sequential(
            nn.ReflectionPad2d(1),
            layers.conv(channels, channels, 3, bias=bias),
            *norm_of(norm, channels),
            nn.ReLU(inplace=True),
            nn.ReflectionPad2d(1),
            layers.conv(channels, channels, 3, bias=bias),
            *norm_of(norm, channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.body(x)
        return out
