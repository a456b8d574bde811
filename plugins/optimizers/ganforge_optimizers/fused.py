"""One kernel for a whole optimizer step, where torch has it."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

FUSED_DEVICES = frozenset({"cpu", "cuda"})


def fused(parameters: Sequence[nn.Parameter]) -> bool | None:
    """What to pass as `fused=`: True where every parameter lies on a device with a fused kernel,
    else None, by which torch chooses (`foreach` on accelerators)."""
    return True if all(p.device.type in FUSED_DEVICES for p in parameters) else None
