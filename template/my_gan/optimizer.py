"""The optimizer of either player."""

from __future__ import annotations

from typing import Literal

import torch

from ganforge.api import Field, Optimizer, Parameters, Scheduled


class MyOptimizer(Optimizer):
    """Adam with the betas of many GANs."""

    type: Literal["my"] = "my"
    lr: Scheduled = Field(2e-4, gt=0, description="Learning rate before the schedule of `[lr]`.")

    def build(self, parameters: Parameters) -> torch.optim.Optimizer:
        return torch.optim.Adam(parameters, lr=self.rate(), betas=(0.5, 0.99))
