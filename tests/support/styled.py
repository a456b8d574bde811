"""StyleGAN2's arithmetic, written out."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def bent(x: Tensor, gain: float = 1.0) -> Tensor:
    return torch.maximum(x, 0.2 * x) * math.sqrt(2) * gain


def double(module: nn.Module) -> nn.Module:
    """In float64, with nothing at 0."""
    torch.manual_seed(0)
    for parameter in module.double().parameters():
        nn.init.normal_(parameter, 0.0, 0.5)
    return module


def dense(layer: nn.Module, x: Tensor) -> Tensor:
    return x @ layer.weight.T * layer.rate / math.sqrt(x.shape[1]) + layer.bias * layer.rate


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
