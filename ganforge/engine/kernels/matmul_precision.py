"""Rounding of float32 factors in matrix products and convolutions.

Global state of the process, as in torch.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

EXACT = ("highest", "none")
FAST = ("medium", "bf16")
"""Matrix products, by torch's names; and convolutions on the CPU, which these do not cover."""


def round_products(fast: bool) -> None:
    """Allows products of rounded factors: TF32 (10 bits of mantissa) on a GPU, bfloat16 (7 bits) on a CPU
    with bfloat16 units. Sums stay float32. Not `fast`: undoes that."""
    if fast or _state() == FAST:
        _set(FAST if fast else EXACT)


@contextlib.contextmanager
def exact_products() -> Iterator[None]:
    """Disables rounding, except in a GPU's convolutions: for numbers that are compared with those of other
    runs."""
    before = _state()
    _set(EXACT)
    try:
        yield
    finally:
        _set(before)


def _state() -> tuple[str, str]:
    convolutions: str = torch.backends.mkldnn.conv.fp32_precision  # type: ignore[attr-defined]
    return torch.get_float32_matmul_precision(), convolutions


def _set(state: tuple[str, str]) -> None:
    if state == _state():
        return
    torch.set_float32_matmul_precision(state[0])
    torch.backends.mkldnn.conv.fp32_precision = state[1]  # type: ignore[attr-defined]
