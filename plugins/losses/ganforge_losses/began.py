"""BEGAN: the critic is an autoencoder, and the game balances its errors on real samples and fakes.

BEGAN: Boundary Equilibrium Generative Adversarial Networks (Berthelot, Schumm & Metz, 2017),
arXiv:1703.10717, section 3.4.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor

from ganforge.api import Field, Loss, Play, Scheduled, memory, per_sample


class Began(Loss):
    """With L = -logits, the critic's reconstruction error: d_loss = E L(x) - k E L(G(z)), g_loss = E L(G(z));
    after each update of the discriminator k moves by rate (gamma E L(x) - E L(G(z))), within [0, 1].

    For an architecture whose logits are minus an error, such as `autoencoding_critic`.
    """

    type: Literal["began"] = "began"
    source: ClassVar[str] = (
        "BEGAN: Boundary Equilibrium Generative Adversarial Networks (Berthelot, Schumm & Metz, 2017), "
        "arXiv:1703.10717, section 3.4"
    )

    gamma: Scheduled = Field(
        0.5, ge=0, le=1, description="E L(G(z)) / E L(x) in balance; lower = better samples, less variety."
    )
    rate: float = Field(0.001, gt=0, description="Of k (lambda_k of the paper).")
    _k: Tensor = memory(0.0)

    def __call__(self, play: Play) -> Tensor:
        value = super().__call__(play)
        if play.role == "d":
            with torch.no_grad():
                real, fake = (-per_sample(v.logits).mean() for v in (play.real_verdict, play.fake_verdict))
                self._k.add_(self.rate * play.mean(self.gamma * real - fake)).clamp_(0, 1)
        return value

    def d_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        # A copy: k changes in place while the graph is alive.
        return self._k.clone() * fake.mean() - real.mean()

    def g_loss(self, fake: Tensor, real: Tensor | None) -> Tensor:
        return -fake.mean()

    def estimates(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """k, and the paper's measure of convergence E L(x) + |gamma E L(x) - E L(G(z))|."""
        error, of_fakes = -real.mean(), -fake.mean()
        return {
            "began_k": self._k.clone(),
            "began_measure": error + (self.gamma * error - of_fakes).abs(),
        }
