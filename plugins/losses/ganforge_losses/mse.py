"""Least squares: logits are pulled to targets, so even well classified samples contribute gradient.

Least Squares Generative Adversarial Networks (Mao et al., 2017), arXiv:1611.04076, equation 2.
"""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import model_validator
from torch import Tensor

from ganforge.api import Advice, Field, Loss, RunView


class Mse(Loss):
    """d_loss = E(D(x) - b)^2 / 2 + E(D(G(z)) - a)^2 / 2, g_loss = E(D(G(z)) - c)^2 / 2.

    The defaults are the 0-1 coding (equation 9); a = -1, b = 1, c = 0 makes the game the Pearson
    chi-squared divergence (equation 8).
    """

    type: Literal["mse"] = "mse"
    also_called: ClassVar[tuple[str, ...]] = ("lsgan", "least_squares", "l2")
    source: ClassVar[str] = (
        "Least Squares Generative Adversarial Networks (Mao et al., 2017), arXiv:1611.04076, equation 2"
    )

    a: float = Field(0.0, description="Discriminator's target for fake samples.")
    b: float = Field(1.0, description="Discriminator's target for real samples.")
    c: float = Field(1.0, description="Generator's target for fake samples.")

    @model_validator(mode="after")
    def _are_apart(self) -> Self:
        if self.a == self.b:
            raise ValueError(
                f"expected two targets, for fakes (a) and real samples (b), got {self.a:g} twice"
            )
        return self

    def advice(self, run: RunView) -> list[Advice]:
        if self.c != self.a:
            return []
        return [
            Advice(
                "mse.targets",
                f"loss.c = {self.c:g} is also the target for fakes (a) of the discriminator: the generator "
                "learns to be found out (Mao et al., 2017, arXiv:1611.04076, section 3.2, has c = b, or c "
                "between a and b)",
            )
        ]

    def d_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return 0.5 * (real - self.b).square().mean() + 0.5 * (fake - self.a).square().mean()

    def g_loss(self, fake: Tensor, real: Tensor | None) -> Tensor:
        return 0.5 * (fake - self.c).square().mean()
