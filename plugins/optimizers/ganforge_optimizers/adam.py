"""Adam, with the low momentum that GANs need.

Adam: A Method for Stochastic Optimization (Kingma and Ba, 2015), arXiv:1412.6980, algorithm 1;
the defaults are those of Radford et al. (2016), arXiv:1511.06434, section 4.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import torch

from ganforge.api import Advice, Field, Optimizer, Parameters, RunView, Scheduled
from ganforge_optimizers.fused import fused
from ganforge_optimizers.step_size import on_decays, on_rate

Decay = Annotated[Scheduled, Field(ge=0, lt=1)]


class Adam(Optimizer):
    """w - lr m / (sqrt(v) + eps), with m and v the running means of the gradient and of its square, both
    corrected for their start at 0. The default betas are those of DCGAN (arXiv:1511.06434, section 4)."""

    type: Literal["adam"] = "adam"
    source: ClassVar[str] = (
        "Adam: A Method for Stochastic Optimization (Kingma and Ba, 2015), arXiv:1412.6980, algorithm 1"
    )

    lr: Scheduled = Field(2e-4, gt=0, description="Learning rate before the schedule of `[lr]`.")
    betas: tuple[Decay, Decay] = Field(
        (0.5, 0.999), description="Decay of the running means of gradients and of their squares."
    )
    eps: float = Field(1e-8, gt=0, description="Added to the denominator, against division by 0.")

    lazy: int = Field(
        0,
        ge=0,
        description="The `every` of a lazy term of this player, for which lr and betas are corrected: with "
        "c = every / (every + 1), lr times c, and betas to the power of c (Karras et al., 2020, "
        "arXiv:1912.04958, appendix B); 0 = not.",
    )

    def advice(self, run: RunView) -> list[Advice]:
        return on_rate(self.type, self.lr) + on_decays(self.type, self.betas)

    def build(self, parameters: Parameters) -> torch.optim.Optimizer:
        parameters = list(parameters)
        return torch.optim.Adam(
            parameters, lr=self.rate(), betas=self._betas(), eps=self.eps, fused=fused(parameters)
        )

    def rate(self) -> float:
        return self.lr * self._share()

    def scheduled(self) -> dict[str, Any]:
        return {"betas": self._betas()}

    def _betas(self) -> tuple[float, float]:
        first, second = self.betas
        share = self._share()
        return (first, second) if share == 1 else (first**share, second**share)

    def _share(self) -> float:
        """c: the updates without the term, as a share of all gradients."""
        return self.lazy / (self.lazy + 1) if self.lazy else 1.0
