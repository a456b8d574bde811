"""What a run takes of its machine."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import torch

MIB = 2**20
RSS_UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes in the unit of `ru_maxrss`: Linux counts in KiB."""


def peak_memory(device: torch.device) -> dict[str, float]:
    """The most memory that this process has held so far, in MiB: resident, and on the GPU what
    tensors took. Never synchronizes the device."""
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT
    peak = {"peak_memory_mib": resident / MIB}
    if device.type == "cuda":
        peak["peak_gpu_memory_mib"] = torch.cuda.max_memory_allocated(device) / MIB
    return peak


def resident_memory() -> int:
    """Bytes of main memory that this process holds now; 0 where the system does not tell."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:")), 0)


def gpu_name(device: torch.device) -> str | None:
    """The model of the GPU; None on another device."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else None
