"""What products of float32 numbers may be rounded to, in matrix products and convolutions.

A state of the whole process, as torch has it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


def round_products(fast: bool) -> None:
    """Lets products be taken of rounded factors: TF32 (10 bits after the point) on a GPU, bfloat16 (7
    bits) on a CPU that multiplies these. Sums stay float32. Not `fast`: as torch comes, which rounds
    to TF32 in a GPU's convolutions only."""
    torch.set_float32_matmul_precision("medium" if fast else "highest")
    # Of convolutions on the CPU the line above says nothing.
    torch.backends.mkldnn.conv.fp32_precision = "bf16" if fast else "none"  # type: ignore[attr-defined]


@contextlib.contextmanager
def exact_products() -> Iterator[None]:
    """Meanwhile, as torch comes: for numbers that are compared with those of other runs."""
    fast = torch.get_float32_matmul_precision() != "highest"
    round_products(False)
    try:
        yield
    finally:
        round_products(fast)
