"""Stateless random streams.

Every random number of a run is a function of (seed, purpose, position in the run): each update seeds its
generators from these. There is then no generator state to save, resume is exact, and a metric or a grid
in between cannot shift what training draws.
"""

from __future__ import annotations

import hashlib

import torch


def stream_seed(seed: int, *purpose: str | int) -> int:
    """A 63-bit seed for one purpose, such as `stream_seed(0, "update", "d", 1200, rank)`."""
    text = "/".join(str(part) for part in (seed, *purpose))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def generator_for(seed: int, *purpose: str | int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator at the start of that stream."""
    return torch.Generator(device).manual_seed(stream_seed(seed, *purpose))


def seed_layers(seed: int, device: torch.device) -> None:
    """Seeds torch's global generators, from which layers such as dropout draw: the CPU's and the device's.
    `torch.manual_seed` does so for every device there is, and where CUDA is not initialized it formats a
    stack trace each time, which costs more than a small network's forward pass."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.default_generators[device.index or 0].manual_seed(seed)
