"""A classifier with a trunk of its own, next to the discriminator, for the heads that terms need.

As the third network of Triple Generative Adversarial Nets (Li, Xu, Zhu & Zhang, 2017), arXiv:1703.02291.
On the discriminator's trunk, as in AC-GAN, a classifier is held back by what keeps the discriminator
smooth: spectral norm, and features that also serve to tell real from fake.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from ganforge_architectures.heads import Heads
from ganforge_architectures.layers import Layers, fan_in_normal

SLOPE = 0.2
GAIN = (2 / (1 + SLOPE**2)) ** 0.5
"""Keeps the variance through leaky ReLU (He et al. 2015, arXiv:1502.01852, equation 15)."""


class Classifier(nn.Module):
    """x [N, C, H, W] -> {head: [N, width]}.

    Strided convolutions down to the base, one more without a stride, batch norm after all but the first, and
    the average over pixels: where an object is does not matter for whether it is there.
    """

    def __init__(self, channels: int, widths: list[int], heads: Mapping[str, int], head_width: int) -> None:
        """`widths`: channels after each halving of the resolution."""
        super().__init__()
        layers = Layers(fan_in_normal)
        trunk: list[nn.Module] = [
            layers.conv(channels, widths[0], 4, stride=2, padding=1, gain=GAIN),
            nn.LeakyReLU(SLOPE, inplace=True),
        ]
        for i, width in enumerate(widths):
            last = i + 1 == len(widths)
            after = width if last else widths[i + 1]
            kernel, stride = (3, 1) if last else (4, 2)
            trunk += [
                layers.conv(width, after, kernel, stride=stride, padding=1, bias=False, gain=GAIN),
                nn.BatchNorm2d(after),
                nn.LeakyReLU(SLOPE, inplace=True),
            ]
        self.trunk = nn.Sequential(*trunk, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.heads = Heads(widths[-1], heads, head_width)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        found: dict[str, Tensor] = self.heads(self.trunk(x))
        return found
