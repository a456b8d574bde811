"""Boundary seeking: the generator moves its samples to where the discriminator cannot decide.

Boundary-Seeking Generative Adversarial Networks (Hjelm et al., 2017), arXiv:1702.08431, the form for
continuous samples.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch.nn.functional as F
from torch import Tensor

from ganforge.api import Loss


class BoundarySeeking(Loss):
    """With D = sigmoid(logits): d_loss = -E log D(x) - E log(1 - D(G(z))), g_loss = E (log D(G(z)) -
    log(1 - D(G(z))))^2 / 2, which is half the mean square of the logits."""

    type: Literal["boundary_seeking"] = "boundary_seeking"
    source: ClassVar[str] = (
        "Boundary-Seeking Generative Adversarial Networks (Hjelm et al., 2017), arXiv:1702.08431"
    )

    def d_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return F.softplus(-real).mean() + F.softplus(fake).mean()

    def g_loss(self, fake: Tensor, real: Tensor | None) -> Tensor:
        return fake.square().mean() / 2

    def score(self, logits: Tensor) -> Tensor:
        return logits.sigmoid()
