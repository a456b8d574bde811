"""Conditions as networks take them, from labels at rest."""

from __future__ import annotations

import torch
from torch import Tensor


def as_conditions(labels: Tensor) -> Tensor:
    """Rows [n, K] as float32; images [n, C, H, W] as float32 in [-1, 1]."""
    if labels.ndim == 4 and labels.dtype == torch.uint8:
        return labels.to(torch.float32, memory_format=torch.channels_last).div_(127.5).sub_(1.0)
    return labels.to(torch.float32)


def conditions(labels: Tensor, chosen: Tensor) -> Tensor:
    """Those of the samples `chosen` [n]; of a collection that is unpaired with them, in its own order."""
    return as_conditions(labels[(chosen % len(labels)).to(labels.device)])
