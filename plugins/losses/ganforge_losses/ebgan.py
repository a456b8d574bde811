"""EBGAN: the critic's energy is low on the data, and raised on fakes up to a margin.

Energy-based Generative Adversarial Network (Zhao, Mathieu & LeCun, 2016), arXiv:1609.03126, equations 1
and 2.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch.nn.functional as F
from torch import Tensor

from ganforge.api import Field, Loss, Scheduled


class Ebgan(Loss):
    """With the energy E = -logits: d_loss = E(x) + max(0, margin - E(G(z))), g_loss = E(G(z)), in the mean.

    For an architecture whose logits are minus an error, such as `autoencoding_critic`.
    """

    type: Literal["ebgan"] = "ebgan"
    source: ClassVar[str] = (
        "Energy-based Generative Adversarial Network (Zhao, Mathieu & LeCun, 2016), arXiv:1609.03126, "
        "equations 1 and 2"
    )

    margin: Scheduled = Field(
        1.0, ge=0, description="Energy above which a fake moves the discriminator no more (m of the paper)."
    )

    def d_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return F.relu(self.margin + fake).mean() - real.mean()

    def g_loss(self, fake: Tensor, real: Tensor | None) -> Tensor:
        return -fake.mean()
