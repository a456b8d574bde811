"""Least squares: logits are pulled to targets, so even well classified samples contribute gradient.

Least Squares Generative Adversarial Networks (Mao et al., 2017), arXiv:1611.04076, equation 2.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor

from ganforge.api import Field, Loss


class Mse(Loss):
    """d_loss = E(D(x) - b)^2 / 2 + E(D(G(z)) - a)^2 / 2, g_loss = E(D(G(z)) - c)^2 / 2.

    The defaults are the 0-1 coding (equation 9); a = -1, b = 1, c = 0 makes the game the Pearson
    chi-squared divergence (equation 8).
    """

    type: Literal["mse"] = "mse"
    source: ClassVar[str] = (
        "Least Squares Generative Adversarial Networks (Mao et al., 2017), arXiv:1611.04076, equation 2"
    )

    a: float = Field(0.0, description="Discriminator's target for fake samples.")
    b: float = Field(1.0, description="Discriminator's target for real samples.")
    c: float = Field(1.0, description="Generator's target for fake samples.")

    def d_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return 0.5 * (real - self.b).square().mean() + 0.5 * (fake - self.a).square().mean()

    def g_loss(self, fake: Tensor, real: Tensor | None) -> Tensor:
        return 0.5 * (fake - self.c).square().mean()
