"""Dual contrastive: each real sample is contrasted with the batch's fakes, each fake with its real samples.

Dual Contrastive Loss and Attention for GANs (Yu et al., 2021), arXiv:2103.09742, section 3.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ganforge.api import Field, Loss


class DualContrastive(Loss):
    """d_loss = -E_x log(e^D(x) / (e^D(x) + sum_z e^D(G(z)))) - E_z log(e^-D(G(z)) / (e^-D(G(z)) + sum_x
    e^-D(x))), and g_loss = -d_loss, the minimax game of the paper.

    The batch is that of one process. Each patch of a critic's output is contrasted separately.
    """

    type: Literal["dual_contrastive"] = "dual_contrastive"
    source: ClassVar[str] = (
        "Dual Contrastive Loss and Attention for GANs (Yu et al., 2021), arXiv:2103.09742, section 3"
    )
    paired: ClassVar[bool] = True

    saturating: bool = Field(
        True,
        description="Generator minimizes -d_loss, the paper's game, whose gradient vanishes while D wins; "
        "false = it minimizes d_loss with real samples and fakes exchanged.",
    )

    def d_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return _told_apart(real, fake)

    def g_loss(self, fake: Tensor, real: Tensor | None) -> Tensor:
        assert real is not None, "a paired loss receives logits of real samples"
        return -_told_apart(real, fake) if self.saturating else _told_apart(fake, real)


def _told_apart(high: Tensor, low: Tensor) -> Tensor:
    """How far each of `high` [N, ...] is from being above all of `low`, and the reverse: a scalar."""
    of_high = F.softplus(torch.logsumexp(low, 0) - high)
    of_low = F.softplus(torch.logsumexp(-high, 0) + low)
    return of_high.mean() + of_low.mean()
