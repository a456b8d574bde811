"""BEGAN's networks: the discriminator is an autoencoder, and its verdict how well it restores a sample.

BEGAN: Boundary Equilibrium Generative Adversarial Networks (Berthelot, Schumm & Metz, 2017),
arXiv:1703.10717, section 3.6 and figure 1. Ours is the tanh, which keeps images in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from ganforge.api import Architecture, DataSpec, Field, Networks, UserError, Verdict
from ganforge_architectures.heads import Heads
from ganforge_architectures.layers import Layers, fan_in_normal
from ganforge_architectures.shapes import image_side

SIDES = (16, 28, 32, 64, 128, 256)
LAYERS = Layers(fan_in_normal)


class BEGAN(Architecture):
    """Square images of side 16, 28, 32, 64, 128 or 256, without conditions.

    The logit is minus the mean absolute error with which the discriminator restores the image: for the losses
    `began` and `ebgan`. Weights start from N(0, 1/fan in).
    """

    source: ClassVar[str] = (
        "BEGAN: Boundary Equilibrium Generative Adversarial Networks (Berthelot, Schumm & Metz, 2017), "
        "arXiv:1703.10717, section 3.6"
    )

    type: Literal["began"] = "began"
    example: ClassVar[Mapping[str, Any]] = {
        "data": {"type": "squares", "labels": "none"},
        "nets": {"type": "began", "width": 4},
        "loss": {"type": "began"},
    }
    width: int = Field(
        64,
        ge=1,
        description="Channels n: of all layers but the encoder's, which has n, 2n, 3n, ... (n of the paper).",
    )
    code: int = Field(64, ge=1, description="Width of the autoencoder's code (N_h of the paper).")

    def build(self, spec: DataSpec, z_dim: int, heads: Mapping[str, int]) -> Networks:
        side = image_side(self.type, spec, SIDES, "a power of two from 16 to 256, nor 28")
        if spec.labels.kind != "none":
            raise UserError(
                "nets 'began': expected data without labels, which these networks do not take, got labels of "
                f"kind '{spec.labels.kind}'; use data without labels, or nets 'dcgan'"
            )
        base = 7 if side == 28 else 8
        doublings = (side // base).bit_length() - 1
        channels = spec.shape[0]
        return Networks(
            Generator(Decoder(z_dim, channels, self.width, base, doublings)),
            Discriminator(
                Encoder(channels, self.code, self.width, base, doublings),
                Decoder(self.code, channels, self.width, base, doublings),
                Heads(self.code, heads),
            ),
        )


class Generator(nn.Module):
    """z [N, z_dim], cond None -> images [N, C, H, W] in [-1, 1]."""

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, z: Tensor, cond: Tensor | None) -> Tensor:
        image: Tensor = self.decoder(z)
        return image


class Discriminator(nn.Module):
    """x [N, C, H, W], cond None -> `Verdict`, whose features are the code [N, `code`]."""

    def __init__(self, encoder: Encoder, decoder: Decoder, heads: Heads) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.heads = heads

    def forward(self, x: Tensor, cond: Tensor | None) -> Verdict:
        code = self.encoder(x)
        error = (self.decoder(code) - x).abs().flatten(1).mean(1)
        return Verdict(-error, self.heads(code), code)


class Decoder(nn.Module):
    """A code [N, h] -> images [N, C, H, W] in [-1, 1]: two 3x3 convolutions at each size."""

    def __init__(self, inputs: int, channels: int, width: int, base: int, doublings: int) -> None:
        super().__init__()
        self.first = LAYERS.linear(inputs, width * base * base)
        self.shape = (width, base, base)
        trunk: list[nn.Module] = []
        for step in range(doublings + 1):
            trunk += [nn.Upsample(scale_factor=2)] if step else []
            for _ in range(2):
                trunk += [LAYERS.conv(width, width, 3, padding=1), nn.ELU(inplace=True)]
        self.trunk = nn.Sequential(*trunk)
        self.out = LAYERS.conv(width, channels, 3, padding=1)

    def forward(self, code: Tensor) -> Tensor:
        return torch.tanh(self.out(self.trunk(self.first(code).unflatten(1, self.shape))))


class Encoder(nn.Module):
    """Images [N, C, H, W] -> codes [N, h]: two 3x3 convolutions at each size, the second of which widens and
    halves."""

    def __init__(self, channels: int, outputs: int, width: int, base: int, halvings: int) -> None:
        super().__init__()
        trunk: list[nn.Module] = [LAYERS.conv(channels, width, 3, padding=1), nn.ELU(inplace=True)]
        for step in range(1, halvings + 1):
            now, wider = width * step, width * (step + 1)
            trunk += [LAYERS.conv(now, now, 3, padding=1), nn.ELU(inplace=True)]
            trunk += [LAYERS.conv(now, wider, 3, stride=2, padding=1), nn.ELU(inplace=True)]
        last = width * (halvings + 1)
        for _ in range(2):
            trunk += [LAYERS.conv(last, last, 3, padding=1), nn.ELU(inplace=True)]
        self.trunk = nn.Sequential(*trunk)
        self.code = LAYERS.linear(last * base * base, outputs)

    def forward(self, x: Tensor) -> Tensor:
        code: Tensor = self.code(self.trunk(x).flatten(1))
        return code
