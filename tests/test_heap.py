"""Freed memory stays in the process: the next tensor of its size takes no fresh pages."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from ganforge.engine import heap

CODE = """
import resource, sys
import torch
from ganforge.engine.heap import keep_freed_memory

torch.set_num_threads(1)
if sys.argv[1] == "keep":
    assert keep_freed_memory()

def iteration():
    # Several at a time, as in training: their sum is more than the library keeps by itself.
    tensors = [torch.zeros(2 * 2**20) for _ in range(12)]
    del tensors

for _ in range(3):
    iteration()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    iteration()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
needs_glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")


def faults(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", CODE, how], check=True, capture_output=True, text=True)
    return int(done.stdout)


@needs_glibc
def test_kept_memory_is_used_again() -> None:
    # 10 iterations of 12 tensors of 8 MiB are 245,760 pages.
    assert faults("keep") < 2_000 < 20_000 < faults("leave")


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heap.platform, "libc_ver", lambda: ("", ""))
    assert not heap.keep_freed_memory()
