"""float32 inside a network that runs in mixed precision."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

NARROW = 4
"""Resolutions that StyleGAN2-ADA and R3GAN compute in 16 bits, from the largest on."""


def full_precision(x: Tensor) -> AbstractContextManager[object]:
    """Without autocast on the device of x; the meta device has none."""
    return nullcontext() if x.is_meta else torch.autocast(x.device.type, enabled=False)


def wide_stages(stages: int) -> int:
    """How many of a network's resolutions, from the smallest on, are float32 in mixed precision: all but
    `NARROW`, and the smallest in any case, as in the authors' code of both."""
    return max(1, stages - NARROW)
