"""RMSprop, the optimizer of WGAN with weight clipping.

Neural Networks for Machine Learning, lecture 6e (Tieleman and Hinton, 2012); the learning rate is
that of Wasserstein GAN (Arjovsky et al., 2017), arXiv:1701.07875, algorithm 1.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch

from ganforge.api import Advice, Field, Optimizer, Parameters, RunView, Scheduled
from ganforge_optimizers.step_size import on_rate


class RMSprop(Optimizer):
    """w - lr g / (sqrt(v) + eps), with v the running mean of the squared gradient g."""

    type: Literal["rmsprop"] = "rmsprop"
    source: ClassVar[str] = "Neural Networks for Machine Learning, lecture 6e (Tieleman and Hinton, 2012)"

    lr: Scheduled = Field(5e-5, gt=0, description="Learning rate before the schedule of `[lr]`.")
    alpha: float = Field(0.99, ge=0, lt=1, description="Decay of the running mean of squared gradients.")
    eps: float = Field(1e-8, gt=0, description="Added to the denominator, against division by 0.")
    momentum: float = Field(0.0, ge=0, lt=1, description="Momentum; 0 = off.")

    def advice(self, run: RunView) -> list[Advice]:
        return on_rate(self.type, self.lr)

    def build(self, parameters: Parameters) -> torch.optim.Optimizer:
        # torch has no fused kernel for RMSprop.
        return torch.optim.RMSprop(
            parameters, lr=self.lr, alpha=self.alpha, eps=self.eps, momentum=self.momentum, foreach=True
        )
