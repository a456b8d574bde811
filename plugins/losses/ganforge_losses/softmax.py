"""Softmax: the samples of a batch compete for probability, real ones against fakes.

Softmax GAN (Lin, 2017), arXiv:1704.06191, section 3.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor

from ganforge.api import Loss, Play, total
from ganforge_losses.log_sum_exp import LogSumExp, of_all_processes, of_one_process


class Softmax(Loss):
    """With Z the sum of exp(D) over the batch's real samples and fakes (the paper's mu is our -D):
    d_loss = log Z - E D(x), minimal if the real samples have all probability, in equal shares;
    g_loss = log Z - (E D(x) + E D(G(z))) / 2, minimal if all samples have the same.

    Z is over the samples of all processes. Each patch of a critic's output competes separately.
    """

    type: Literal["softmax"] = "softmax"
    source: ClassVar[str] = "Softmax GAN (Lin, 2017), arXiv:1704.06191, section 3"
    paired: ClassVar[bool] = True

    def d_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return _log_partition(real, fake, of_one_process).mean() - real.mean()

    def g_loss(self, fake: Tensor, real: Tensor | None) -> Tensor:
        assert real is not None, "a paired loss receives logits of real samples"
        return _log_partition(real, fake, of_one_process).mean() - (real.mean() + fake.mean()) / 2

    def __call__(self, play: Play) -> Tensor:
        def loss(real: Tensor, fake: Tensor) -> Tensor:
            # real [N, ...], fake [N, ...] -> scalar
            favored = real.mean() if play.role == "d" else (real.mean() + fake.mean()) / 2
            return _log_partition(real, fake, of_all_processes(play)).mean() - favored

        value: Tensor = total(loss, play.real_verdict.logits, play.fake_verdict.logits)
        return value

    def estimates(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """Total probability of the batch's real samples; 1/2 = chance."""
        share = of_one_process(real) - _log_partition(real, fake, of_one_process)
        return {"softmax_real_share": share.exp().mean()}


def _log_partition(real: Tensor, fake: Tensor, log_sum_exp: LogSumExp) -> Tensor:
    """log Z [...] of logits [N, ...]."""
    return torch.logaddexp(log_sum_exp(real), log_sum_exp(fake))
