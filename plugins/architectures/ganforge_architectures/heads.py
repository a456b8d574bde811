"""The discriminator's additional outputs, requested by terms."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from ganforge_architectures.layers import fan_in_linear


class Heads(nn.Module):
    """One linear layer per head, name -> [N, width], on the trunk's features [N, F]; with `hidden`, preceded
    by one of that width with batch norm and leaky ReLU, as in InfoGAN's Q.

    Kept in a list because heads may have names that modules may not. Never spectrally normalized: the
    Lipschitz bound concerns the logit only.
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
