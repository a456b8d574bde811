"""Layers with their initialization: every weight is drawn here, from torch's default generator."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ganforge_architectures.point_convolution import FromPoint, ToPoint

Init = Callable[[Tensor, float], object]
"""Initializes a weight in place, given the gain for the layer's position in the network."""


def normal(std: float) -> Init:
    """N(0, std), independent of the layer, as in DCGAN."""
    return lambda weight, gain: nn.init.normal_(weight, 0.0, std)


def xavier(weight: Tensor, gain: float) -> None:
    """Uniform with variance 2 gain^2 / (fan in + fan out) (Glorot & Bengio 2010)."""
    nn.init.xavier_uniform_(weight, gain)


def orthogonal(weight: Tensor, gain: float) -> None:
    """Orthonormal rows, or columns if there are fewer of them (Saxe et al. 2014); ignores the gain."""
    nn.init.orthogonal_(weight)


def fan_in_normal(weight: Tensor, gain: float) -> None:
    """N(0, gain / sqrt(fan in)) (He et al. 2015)."""
    nn.init.normal_(weight, 0.0, gain / math.sqrt(weight[0].numel()))


def fan_in_linear(inputs: int, outputs: int) -> nn.Linear:
    """A linear layer with weights and biases uniform in +-1/sqrt(inputs)."""
    layer = nn.Linear(inputs, outputs)
    bound = 1 / math.sqrt(inputs)
    nn.init.uniform_(layer.weight, -bound, bound)
    nn.init.uniform_(layer.bias, -bound, bound)
    return layer


@dataclass(frozen=True)
class Layers:
    """Creates the layers of one network: one initialization for all weights (biases are 0), and spectral
    normalization (Miyato et al. 2018, arXiv:1802.05957) of all or none."""

    init: Init
    spectral: bool = False

    def conv(
        self,
        inputs: int,
        outputs: int,
        kernel: int | tuple[int, int],
        *,
        stride: int = 1,
        padding: int = 0,
        groups: int = 1,
        bias: bool = True,
        gain: float = 1.0,
    ) -> nn.Module:
        layer = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=bias)
        return self._finish(layer, layer.weight, layer.bias, gain)

    def conv_transpose(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        stride: int = 1,
        padding: int = 0,
        output_padding: int = 0,
        bias: bool = True,
    ) -> nn.Module:
        layer = nn.ConvTranspose2d(inputs, outputs, kernel, stride, padding, output_padding, bias=bias)
        return self._finish(layer, layer.weight, layer.bias, 1.0)

    def from_point(
        self, inputs: int, outputs: int, kernel: tuple[int, int], *, bias: bool = True
    ) -> nn.Module:
        layer = FromPoint(inputs, outputs, kernel, bias=bias)
        return self._finish(layer, layer.weight, layer.bias, 1.0)

    def to_point(self, inputs: int, outputs: int, kernel: tuple[int, int], *, bias: bool = True) -> nn.Module:
        layer = ToPoint(inputs, outputs, kernel, bias=bias)
        return self._finish(layer, layer.weight, layer.bias, 1.0)

    def linear(self, inputs: int, outputs: int, *, bias: bool = True, gain: float = 1.0) -> nn.Module:
        layer = nn.Linear(inputs, outputs, bias=bias)
        return self._finish(layer, layer.weight, layer.bias, gain)

    def _finish(self, layer: nn.Module, weight: Tensor, bias: Tensor | None, gain: float) -> nn.Module:
        self.init(weight, gain)
        if bias is not None:
            nn.init.zeros_(bias)
        return spectral_norm(layer) if self.spectral else layer
