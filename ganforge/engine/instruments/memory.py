"""Memory use of a run."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import torch

MIB = 2**20
RSS_UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes per unit of `ru_maxrss`: Linux counts in KiB."""


def peak_memory(device: torch.device) -> dict[str, float]:
    """Peak memory of this process so far, in MiB: resident, and on the GPU that of tensors. Never
    synchronizes the device."""
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT
    peak = {"peak_memory_mib": resident / MIB}
    if device.type == "cuda":
        peak["peak_gpu_memory_mib"] = torch.cuda.max_memory_allocated(device) / MIB
    return peak


def resident_memory() -> int:
    """Resident bytes of this process; 0 where the system does not report them."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:")), 0)


def gpu_name(device: torch.device) -> str | None:
    """The model of the GPU; None on another device."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else None
