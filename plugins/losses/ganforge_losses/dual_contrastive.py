"""Dual contrastive: each real sample is contrasted with the batch's fakes, each fake with its real samples.

Dual Contrastive Loss and Attention for GANs (Yu et al., 2021), arXiv:2103.09742, section 3.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch.nn.functional as F
from torch import Tensor

from ganforge.api import Field, Loss, Play, total
from ganforge_losses.log_sum_exp import LogSumExp, of_all_processes, of_one_process


class DualContrastive(Loss):
    """d_loss = -E_x log(e^D(x) / (e^D(x) + sum_z e^D(G(z)))) - E_z log(e^-D(G(z)) / (e^-D(G(z)) + sum_x
    e^-D(x))), and g_loss = -d_loss, the minimax game of the paper.

    The batch is that of all processes. Each patch of a critic's output is contrasted separately.
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
        return _told_apart(real, fake, of_one_process)

    def g_loss(self, fake: Tensor, real: Tensor | None) -> Tensor:
        assert real is not None, "a paired loss receives logits of real samples"
        return self._fooled(real, fake, of_one_process)

    def __call__(self, play: Play) -> Tensor:
        loss = _told_apart if play.role == "d" else self._fooled
        everyone = of_all_processes(play)
        real, fake = play.real_verdict.logits, play.fake_verdict.logits
        # real [N, ...], fake [N, ...] -> scalar, for each scale
        value: Tensor = total(lambda r, f: loss(r, f, everyone), real, fake)
        return value

    def _fooled(self, real: Tensor, fake: Tensor, log_sum_exp: LogSumExp) -> Tensor:
        """The generator's loss, a scalar."""
        if self.saturating:
            return -_told_apart(real, fake, log_sum_exp)
        return _told_apart(fake, real, log_sum_exp)


def _told_apart(high: Tensor, low: Tensor, log_sum_exp: LogSumExp) -> Tensor:
    """How far each of `high` [N, ...] is from being above all of `low`, and the reverse: a scalar."""
    of_high = F.softplus(log_sum_exp(low) - high)  # [N, ...]
    of_low = F.softplus(log_sum_exp(-high) + low)  # [N, ...]
    return of_high.mean() + of_low.mean()
