"""The loss: what either player minimizes, as functions of the discriminator's logits."""

from __future__ import annotations

from typing import Literal

from torch import Tensor
from torch.nn.functional import softplus

from ganforge.api import Field, Loss


class MyLoss(Loss):
    """The non-saturating loss on logits that are divided by a temperature."""

    type: Literal["my"] = "my"
    temperature: float = Field(1.0, gt=0, description="Divides the logits; larger is softer.")

    def d_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return softplus(-real / self.temperature).mean() + softplus(fake / self.temperature).mean()

    def g_loss(self, fake: Tensor, real: Tensor | None) -> Tensor:
        return softplus(-fake / self.temperature).mean()
