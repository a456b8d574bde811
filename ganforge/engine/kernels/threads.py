"""Number of threads of torch's kernels on a CPU. How a sum is split among them determines its last bits, so
a resumed run keeps the number it was started with."""

from __future__ import annotations

import os

import torch

USERS = "OMP_NUM_THREADS"
"""Environment variable: the user's number, which takes precedence."""
CHOSEN = "GANFORGE_THREADS"
"""Environment variable: the number for a new run, by how busy the machine is (ganforge.cli.cores)."""


def use_threads(before: str | None = None) -> bool:
    """Uses as many as the run had `before`, or as were chosen for a new run. Returns whether that changed
    anything."""
    wanted = before or os.environ.get(CHOSEN)
    if USERS in os.environ or wanted is None or not wanted.isdecimal() or int(wanted) < 1:
        return False
    if int(wanted) == torch.get_num_threads():
        return False
    torch.set_num_threads(int(wanted))
    return True
