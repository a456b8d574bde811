"""Freed memory stays in the process: the next tensor of its size takes no fresh pages."""

from __future__ import annotations

import ctypes
import os
import platform
import subprocess
import sys

import pytest

from ganforge.engine.kernels import malloc as heap

# What the C library says of itself, and not the kernel's count of page faults: not every kernel counts.
CODE = """
import ctypes, sys
import torch
from ganforge.config import Train
from ganforge.engine.distributed.runtime import Runtime
from ganforge.engine.kernels.malloc import keep_freed_memory

FIELDS = ["arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"]

class Mallinfo2(ctypes.Structure):  # <malloc.h>
    _fields_ = [(name, ctypes.c_size_t) for name in FIELDS]

mallinfo2 = ctypes.CDLL(None).mallinfo2
mallinfo2.restype = Mallinfo2

torch.set_num_threads(1)
if sys.argv[1] == "keep":
    assert keep_freed_memory()
if sys.argv[1] == "run":
    Runtime(Train(device="cpu"))

def iteration():
    # Several at a time, as in training.
    tensors = [torch.zeros(2 * 2**20) for _ in range(12)]
    del tensors

for _ in range(3):
    iteration()
before = mallinfo2()
for _ in range(10):
    iteration()
after = mallinfo2()
print(after.fordblks, after.arena - before.arena)
"""
has_mallinfo2 = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc" or not hasattr(ctypes.CDLL(None), "mallinfo2"),
    reason="the C library is not glibc from 2.33 on",
)
MIB = 2**20


def kept_and_grown(how: str) -> tuple[int, int]:
    """Bytes that are free in the heap after the iterations, and by how many ten of them made it larger."""
    # With thresholds that are given, the library does not raise them by itself, now and then.
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(2**17), "MALLOC_TRIM_THRESHOLD_": str(2**17)}
    done = subprocess.run(
        [sys.executable, "-c", CODE, how], check=True, capture_output=True, text=True, env=environment
    )
    kept, grown = done.stdout.split()
    return int(kept), int(grown)


@has_mallinfo2
@pytest.mark.parametrize("how", ["keep", "run"])
def test_kept_memory_is_used_again(how: str) -> None:
    """Where it is asked for, as each run on a CPU does."""
    # 12 tensors of 8 MiB an iteration.
    kept, grown = kept_and_grown(how)
    assert kept > 96 * MIB
    assert grown < 8 * MIB


@has_mallinfo2
def test_without_it_freed_memory_goes_back() -> None:
    kept, _ = kept_and_grown("leave")
    assert kept < 48 * MIB


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heap.platform, "libc_ver", lambda: ("", ""))
    assert not heap.keep_freed_memory()
