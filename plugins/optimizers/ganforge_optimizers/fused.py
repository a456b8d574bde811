"""Fused optimizer steps, where torch supports them."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

FUSED_DEVICES = frozenset({"cpu", "cuda"})


def fused(parameters: Sequence[nn.Parameter]) -> bool | None:
    """The `fused=` argument: True if every parameter is on a device with a fused kernel, otherwise None,
    with which torch chooses (`foreach` on accelerators)."""
    return True if all(p.device.type in FUSED_DEVICES for p in parameters) else None
