"""The extra outputs of a discriminator that terms ask for."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from ganforge_architectures.layers import fan_in_linear


class Heads(nn.Module):
    """One linear layer a head, name -> [N, width], on the trunk's features [N, F].

    Kept in a list because a head may be called anything, and module names may not. Never
    spectrally normalised: the bound is about the logit alone.
    """

    def __init__(self, features: int, widths: Mapping[str, int]) -> None:
        super().__init__()
        self.names = tuple(widths)
        self.layers = nn.ModuleList(fan_in_linear(features, width) for width in widths.values())

    def forward(self, features: Tensor) -> dict[str, Tensor]:
        return {name: layer(features) for name, layer in zip(self.names, self.layers, strict=True)}
