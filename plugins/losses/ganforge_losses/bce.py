"""Binary cross-entropy: the discriminator classifies real against fake.

Generative Adversarial Nets (Goodfellow et al., 2014), arXiv:1406.2661, equation 1 and section 3;
label smoothing from Improved Techniques for Training GANs (Salimans et al., 2016),
arXiv:1606.03498, section 3.4.
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ganforge.api import Advice, Field, Loss, RunView


class Bce(Loss):
    """With D = sigmoid(logits): d_loss = -E log D(x) - E log(1 - D(G(z))), g_loss = -E log D(G(z))."""

    type: Literal["bce"] = "bce"
    also_called: ClassVar[tuple[str, ...]] = (
        "gan",
        "vanilla",
        "non_saturating",
        "nonsaturating",
        "ns",
        "minimax",
    )
    source: ClassVar[str] = (
        "Generative Adversarial Nets (Goodfellow et al., 2014), arXiv:1406.2661, equation 1"
    )

    saturating: bool = Field(
        False,
        description="Generator minimizes log(1 - D(G(z))), the minimax game of the paper, whose gradient "
        "vanishes while D wins; false = non-saturating, it minimizes -log D(G(z)).",
    )
    smooth_real: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="One-sided label smoothing: the target for real samples is 1 - smooth_real; 0 = off.",
    )

    def advice(self, run: RunView) -> list[Advice]:
        if self.smooth_real <= 0.5:
            return []
        return [
            Advice(
                "bce.smooth_real",
                f"loss.smooth_real = {self.smooth_real:g} makes the target for real samples "
                f"{1 - self.smooth_real:g}, closer to that of fakes (Salimans et al., 2016, "
                "arXiv:1606.03498, section 3.4, smooths 1 to 0.9); for a target of "
                f"{self.smooth_real:g} write smooth_real = {1 - self.smooth_real:g}",
            )
        ]

    def d_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        target = torch.full_like(real, 1 - self.smooth_real)
        on_real = F.binary_cross_entropy_with_logits(real, target)
        return on_real + F.softplus(fake).mean()

    def g_loss(self, fake: Tensor, real: Tensor | None) -> Tensor:
        if self.saturating:
            return -F.softplus(fake).mean()
        return F.softplus(-fake).mean()

    def score(self, logits: Tensor) -> Tensor:
        return logits.sigmoid()

    def estimates(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """The Jensen-Shannon divergence in nats, from L(G, D*) = 2 JSD - 2 log 2 (section 4.1 of the paper);
        a lower bound, tight for the optimal D."""
        best = F.logsigmoid(real).mean() + F.logsigmoid(-fake).mean()
        return {"jensen_shannon": best / 2 + math.log(2)}
