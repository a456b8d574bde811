"""Adam, with the low momentum that GANs need.

Adam: A Method for Stochastic Optimization (Kingma and Ba, 2015), arXiv:1412.6980, algorithm 1;
the defaults are those of Radford et al. (2016), arXiv:1511.06434, section 4.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import torch

from ganforge.api import Field, Optimizer, Parameters, Scheduled
from ganforge_optimizers.fused import fused

Decay = Annotated[Scheduled, Field(ge=0, lt=1)]


class Adam(Optimizer):
    type: Literal["adam"] = "adam"
    source: ClassVar[str] = (
        "Adam: A Method for Stochastic Optimization (Kingma and Ba, 2015), arXiv:1412.6980, algorithm 1"
    )

    lr: Scheduled = Field(2e-4, gt=0, description="Learning rate before the schedule of `[lr]`.")
    betas: tuple[Decay, Decay] = Field(
        (0.5, 0.999), description="Decay of the running means of gradients and of their squares."
    )
    eps: float = Field(1e-8, gt=0, description="Added to the denominator, against division by 0.")

    def build(self, parameters: Parameters) -> torch.optim.Optimizer:
        parameters = list(parameters)
        return torch.optim.Adam(
            parameters, lr=self.lr, betas=self.betas, eps=self.eps, fused=fused(parameters)
        )

    def scheduled(self) -> dict[str, Any]:
        return {"betas": self.betas}
