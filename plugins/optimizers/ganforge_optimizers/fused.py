"""Fused optimizer steps, where torch supports them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

FUSED_DEVICES = frozenset({"cpu", "cuda"})


def fused(parameters: Sequence[Any]) -> bool | None:
    """What to pass as `fused=`: True where every parameter lies on a device with a fused kernel,
    else None, by which torch chooses (`foreach` on accelerators)."""
    groups = [each["params"] if isinstance(each, dict) else [each] for each in parameters]
    return True if all(p.device.type in FUSED_DEVICES for group in groups for p in group) else None
