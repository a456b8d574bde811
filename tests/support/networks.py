"""Parameters counted, and by formula; and the data that networks are built for."""

from __future__ import annotations

from torch import nn

from ganforge.api import DataSpec, LabelSpec


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def conv(a: int, b: int, k: int) -> int:
    return k * k * a * b + b


def spec(side: int, classes: int = 0) -> DataSpec:
    names = tuple(f"c{i}" for i in range(classes))
    labels = LabelSpec(kind="one_of_k", names=names) if classes else LabelSpec()
    return DataSpec(shape=(3, side, side), labels=labels)
