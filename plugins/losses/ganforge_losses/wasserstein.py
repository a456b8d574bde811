"""Wasserstein: the critic estimates the earth mover's distance.

Wasserstein GAN (Arjovsky, Chintala and Bottou, 2017), arXiv:1701.07875, equation 2 and algorithm 1.
The critic must be kept Lipschitz: callback `weight_clip` or term `gradient_penalty`.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor

from ganforge.api import Advice, Loss, RunView, has_spectral_norm

CONSTRAINTS = ("gradient_penalty", "weight_clip", "wgan_div", "r1", "r2")
"""Components that bound the critic's slope in one way or another."""


class Wasserstein(Loss):
    """d_loss = E D(G(z)) - E D(x), the negative distance; g_loss = -E D(G(z))."""

    type: Literal["wasserstein"] = "wasserstein"
    also_called: ClassVar[tuple[str, ...]] = ("wgan", "wgan_gp", "earth_mover")
    source: ClassVar[str] = "Wasserstein GAN (Arjovsky et al., 2017), arXiv:1701.07875, equation 2"

    def advice(self, run: RunView) -> list[Advice]:
        if run.has(*CONSTRAINTS) or has_spectral_norm(run.networks.discriminator):
            return []
        return [
            Advice(
                "wasserstein.unconstrained",
                "loss 'wasserstein' needs a 1-Lipschitz critic, and nothing bounds the slope of this one "
                "(Arjovsky et al., 2017, arXiv:1701.07875, section 3); add a term 'gradient_penalty', or a "
                "callback 'weight_clip'",
            )
        ]

    def d_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return fake.mean() - real.mean()

    def g_loss(self, fake: Tensor, real: Tensor | None) -> Tensor:
        return -fake.mean()

    def estimates(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """The earth mover's distance, up to the critic's Lipschitz constant."""
        return {"wasserstein": real.mean() - fake.mean()}
