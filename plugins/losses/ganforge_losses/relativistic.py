"""Relativistic: each fake is compared with one real sample.

The Relativistic Discriminator (Jolicoeur-Martineau, 2018), arXiv:1807.00734, section 4; with the
terms `r1` and `r2` it is the game of The GAN Is Dead; Long Live the GAN! (Huang et al., 2024),
arXiv:2501.05441, equation 2.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch.nn.functional as F
from torch import Tensor

from ganforge.api import Loss


class Relativistic(Loss):
    """d_loss = E softplus(D(G(z)) - D(x)), g_loss = E softplus(D(x) - D(G(z))), over pairs (z, x)."""

    type: Literal["relativistic"] = "relativistic"
    also_called: ClassVar[tuple[str, ...]] = ("rpgan", "rgan", "ragan")
    source: ClassVar[str] = (
        "The Relativistic Discriminator (Jolicoeur-Martineau, 2018), arXiv:1807.00734, section 4"
    )
    paired: ClassVar[bool] = True

    def d_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return _beaten(real, fake)

    def g_loss(self, fake: Tensor, real: Tensor | None) -> Tensor:
        assert real is not None, "a paired loss receives logits of real samples"
        return _beaten(fake, real)


def _beaten(winner: Tensor, loser: Tensor) -> Tensor:
    """The mean of -log sigmoid(winner - loser), a scalar; both of shape [N]."""
    assert winner.shape == loser.shape, "real and fake samples come in pairs"
    return F.softplus(loser - winner).mean()  # [N] -> scalar
