"""Replaces the networks' convolutions by our matmul kernels on a CPU."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from ganforge.engine.kernels.convolution_autograd import conv2d, conv_transpose2d
from ganforge.engine.kernels.override import Operation, Replacing

OURS: Mapping[Operation, Operation] = {F.conv2d: conv2d, F.conv_transpose2d: conv_transpose2d}


def faster_convolutions(network: nn.Module, device: torch.device) -> AbstractContextManager[Any]:
    """Context in which a network's convolutions use matrix products where `convolution` knows that these
    are faster. On a GPU they never are, and a network without 4-D weights has no convolutions."""
    convolves = any(parameter.ndim == 4 for parameter in network.parameters())
    if device.type != "cpu" or not convolves:
        return nullcontext()
    return Replacing(OURS)
