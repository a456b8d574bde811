"""DCGAN for images with several labels."""

from __future__ import annotations

import torch
from torch import Tensor

from ganforge.api import DataSpec, LabelSpec

ATTRIBUTES = LabelSpec(kind="many_of_k", names=tuple(f"label {i}" for i in range(24)), most=3)


def labelled(shape: tuple[int, ...] = (3, 64, 64)) -> DataSpec:
    return DataSpec(shape=shape, labels=ATTRIBUTES)


def multi_hot(n: int) -> Tensor:
    return torch.zeros(n, 24).scatter_(1, torch.arange(3 * n).reshape(n, 3) % 24, 1.0)
