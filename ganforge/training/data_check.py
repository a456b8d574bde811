"""What is wrong with the data, as far as some samples show: read once, before the first iteration."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

from ganforge.api import DataSpec, Samples

CHECKED = 256
"""Samples that are compared, spread over the data set."""
MIN_DISTINCT = 0.1
"""Share of different samples among them below which the data are reported."""
MIN_CHECKED = 20
"""For shares: among few samples, a few copies are no sign."""


def suspicious(samples: Samples, spec: DataSpec) -> list[str]:
    """A line for each thing about the data that hardly anybody intends."""
    total = len(samples)
    if total == 1:
        return ["the data set has a single sample; a GAN can only learn to repeat it"]
    chosen = torch.linspace(0, total - 1, min(total, CHECKED), dtype=torch.float64).round().long()
    some = samples.images[chosen.to(samples.images.device)].cpu()
    return [line for line in (_alike(some, total), _constant(some), _range(some, spec)) if line]


def _alike(some: Tensor, total: int) -> str | None:
    distinct = len({hashlib.sha256(row.contiguous().numpy().tobytes()).digest() for row in some})
    among = f"all {total:,} samples" if len(some) == total else f"{len(some)} of the {total:,} samples"
    if distinct == 1:
        return f"{among} were compared, and are the same{_value(some)}; check what the data set reads"
    if len(some) >= MIN_CHECKED and distinct < MIN_DISTINCT * len(some):
        return f"{among} were compared, and only {distinct} of them differ; check what the data set reads"
    return None


def _value(some: Tensor) -> str:
    """Of samples that are equal: their value, if they have only one."""
    low, high = some[0].min().item(), some[0].max().item()
    if low != high:
        return ""
    if some.dtype != torch.uint8:
        return f" (every value is {low:g})"
    return f" (all {({0: 'black', 255: 'white'}).get(int(low), f'pixels are {low}')})"


def _constant(some: Tensor) -> str | None:
    """Different images without content: each of one brightness."""
    if some.ndim != 4 or len(some) < MIN_CHECKED:
        return None
    flat = some.flatten(2)  # [n, C, H * W]
    if (
        flat.shape[2] == 1
        or (flat.amin(2) != flat.amax(2)).any()
        or torch.equal(some, some[:1].expand_as(some))
    ):
        return None
    return "every image is of a single color; check what the data set reads"


def _range(some: Tensor, spec: DataSpec) -> str | None:
    """Images as floats lie in [-1, 1], which is what generators return."""
    if not spec.is_image or some.dtype == torch.uint8:
        return None
    low, high = some.min().item(), some.max().item()
    if low >= 0 and high > 0:
        return (
            f"images are floats from {low:g} to {high:g}; expected [-1, 1], which is what generators return, "
            "or uint8 from 0 to 255"
        )
    return None
