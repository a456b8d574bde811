"""Stochastic gradient descent.

A Stochastic Approximation Method (Robbins and Monro, 1951).
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch

from ganforge.api import Field, Optimizer, Parameters, Scheduled
from ganforge_optimizers.fused import fused


class Sgd(Optimizer):
    """w - lr g for the gradient g; with momentum, g is replaced by its running sum momentum * sum + g."""

    type: Literal["sgd"] = "sgd"
    source: ClassVar[str] = "A Stochastic Approximation Method (Robbins and Monro, 1951)"

    lr: Scheduled = Field(1e-2, gt=0, description="Learning rate before the schedule of `[lr]`.")
    momentum: float = Field(0.0, ge=0, lt=1, description="Momentum; 0 = off.")

    def build(self, parameters: Parameters) -> torch.optim.Optimizer:
        parameters = list(parameters)
        return torch.optim.SGD(parameters, lr=self.lr, momentum=self.momentum, fused=fused(parameters))
