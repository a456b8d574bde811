"""Forward passes of a network without side effects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def kept_buffers(networks: Iterable[nn.Module]) -> Iterator[None]:
    """Restores all buffers on exit.

    In training mode a mere forward pass updates BatchNorm's statistics and the vectors of spectral
    normalization; a measurement must not, or how often a run logs would change its result.
    """
    buffers = [buffer for network in networks for buffer in network.buffers()]
    before = [buffer.clone() for buffer in buffers]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, old in zip(buffers, before, strict=True):
                buffer.copy_(old)
