"""Hinge: only samples within the margin contribute to the discriminator's gradient.

Geometric GAN (Lim and Ye, 2017), arXiv:1705.02894; Spectral Normalization for Generative
Adversarial Networks (Miyato et al., 2018), arXiv:1802.05957, equations 16 and 17.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch.nn.functional as F
from torch import Tensor

from ganforge.api import Field, Loss


class Hinge(Loss):
    """d_loss = E max(0, m - D(x)) + E max(0, m + D(G(z))), g_loss = -E D(G(z))."""

    type: Literal["hinge"] = "hinge"
    source: ClassVar[str] = (
        "Spectral Normalization for Generative Adversarial Networks (Miyato et al., 2018), "
        "arXiv:1802.05957, equations 16 and 17"
    )

    margin: float = Field(
        1.0, gt=0, description="Logits beyond this margin no longer contribute to D's gradient."
    )

    def d_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return F.relu(self.margin - real).mean() + F.relu(self.margin + fake).mean()

    def g_loss(self, fake: Tensor, real: Tensor | None) -> Tensor:
        return -fake.mean()
