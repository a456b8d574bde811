"""The extra outputs of a discriminator that terms ask for."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from ganforge_architectures.layers import fan_in_linear


class Heads(nn.Module):
    """A linear layer a head, name -> [N, width], on the trunk's features [N, F]; before it, with
    `hidden`, one of that width with batch norm and a leaky ReLU, as InfoGAN's Q has it.

    Kept in a list because a head may be called anything, and module names may not. Never
    spectrally normalized: the bound is about the logit alone.
    """

    def __init__(self, features: int, widths: Mapping[str, int], hidden: int = 0) -> None:
        super().__init__()
        self.names = tuple(widths)
        self.layers = nn.ModuleList(_head(features, hidden, width) for width in widths.values())

    def forward(self, features: Tensor) -> dict[str, Tensor]:
        return {name: layer(features) for name, layer in zip(self.names, self.layers, strict=True)}


def _head(features: int, hidden: int, width: int) -> nn.Module:
    if not hidden:
        return fan_in_linear(features, width)
    return nn.Sequential(
        fan_in_linear(features, hidden),
        nn.BatchNorm1d(hidden),
        nn.LeakyReLU(0.1),
        fan_in_linear(hidden, width),
    )
