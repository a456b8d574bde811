"""Adam with decoupled weight decay.

Decoupled Weight Decay Regularization (Loshchilov and Hutter, 2019), arXiv:1711.05101, algorithm 2.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import torch

from ganforge.api import Advice, Field, Optimizer, Parameters, RunView, Scheduled
from ganforge_optimizers.fused import fused
from ganforge_optimizers.step_size import on_decays, on_rate

Decay = Annotated[Scheduled, Field(ge=0, lt=1)]


class AdamW(Optimizer):
    """Adam with decoupled weight decay: each update also subtracts lr * weight_decay * w."""

    type: Literal["adamw"] = "adamw"
    source: ClassVar[str] = (
        "Decoupled Weight Decay Regularization (Loshchilov and Hutter, 2019), arXiv:1711.05101, algorithm 2"
    )

    lr: Scheduled = Field(2e-4, gt=0, description="Learning rate before the schedule of `[lr]`.")
    betas: tuple[Decay, Decay] = Field(
        (0.5, 0.999), description="Decay of the running means of gradients and of their squares."
    )
    eps: float = Field(1e-8, gt=0, description="Added to the denominator, against division by 0.")
    weight_decay: float = Field(
        0.01, ge=0, description="Each update shrinks the weights by lr times this; 0 = off."
    )

    def advice(self, run: RunView) -> list[Advice]:
        return on_rate(self.type, self.lr) + on_decays(self.type, self.betas)

    def build(self, parameters: Parameters) -> torch.optim.Optimizer:
        parameters = list(parameters)
        return torch.optim.AdamW(
            parameters,
            lr=self.lr,
            betas=self.betas,
            eps=self.eps,
            weight_decay=self.weight_decay,
            fused=fused(parameters),
        )

    def scheduled(self) -> dict[str, Any]:
        return {"betas": self.betas}
