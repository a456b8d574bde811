"""LeCam: verdicts are held near what they have been of late on the other side.

Regularizing Generative Adversarial Networks under Limited Data (Tseng et al., 2021), arXiv:2104.03310,
equation 5.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor

from ganforge.api import Field, Play, Scheduled, Term, memory, per_sample


class LeCam(Term):
    """E (D(x) - a_F)^2 + E (D(G(z)) - a_R)^2 in the discriminator's update, with a_R and a_F the moving
    averages of E D(x) and E D(G(z)). Of a critic of patches or scales, D is their mean."""

    type: Literal["lecam"] = "lecam"
    source: ClassVar[str] = (
        "Regularizing Generative Adversarial Networks under Limited Data (Tseng et al., 2021), "
        "arXiv:2104.03310, equation 5"
    )

    weight: Scheduled = Field(0.3, ge=0, description="Factor on the term (lambda of the paper).")
    decay: float = Field(0.99, ge=0, lt=1, description="Of the moving averages, per update.")
    _anchors: Tensor = memory((0.0, 0.0))

    def __call__(self, play: Play) -> Tensor:
        both = torch.stack([per_sample(verdict.logits) for verdict in (play.real_verdict, play.fake_verdict)])
        newest = play.mean(both.detach().mean(1))  # [2]
        self._anchors.lerp_(newest.to(self._anchors), 1 - self.decay)
        # A copy, because the anchors change in place while the graph is alive; each side's is the other's.
        other = self._anchors.clone().flip(0)[:, None]
        return (both - other).square().mean(1).sum()

    def estimates(self, play: Play) -> dict[str, Tensor]:
        """The anchors: the moving averages of D(x) and D(G(z))."""
        real, fake = self._anchors.clone()
        return {"lecam_real": real, "lecam_fake": fake}
