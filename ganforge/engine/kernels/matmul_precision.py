"""What products of float32 numbers may be rounded to, in matrix products and convolutions.

A state of the whole process, as torch has it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

EXACT = ("highest", "none")
FAST = ("medium", "bf16")
"""For matrix products, by torch's names; and for convolutions on the CPU, of which these say nothing."""


def round_products(fast: bool) -> None:
    """Lets products be taken of rounded factors: TF32 (10 bits after the point) on a GPU, bfloat16 (7
    bits) on a CPU that multiplies these. Sums stay float32. Not `fast`: undoes that."""
    if fast or _state() == FAST:
        _set(FAST if fast else EXACT)


@contextlib.contextmanager
def exact_products() -> Iterator[None]:
    """Meanwhile nothing is rounded, but in a GPU's convolutions: for numbers that are compared with those
    of other runs."""
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
