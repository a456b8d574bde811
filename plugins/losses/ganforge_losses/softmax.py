"""Softmax: the samples of a batch compete for probability, real ones against fakes.

Softmax GAN (Lin, 2017), arXiv:1704.06191, section 3.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor

from ganforge.api import Loss


class Softmax(Loss):
    """With Z the sum of exp(D) over the batch's real samples and fakes (the paper's mu is our -D):
    d_loss = log Z - E D(x), minimal if the real samples have all probability, in equal shares;
    g_loss = log Z - (E D(x) + E D(G(z))) / 2, minimal if all samples have the same.

    The batch is that of one process. Each patch of a critic's output competes separately.
    """

    type: Literal["softmax"] = "softmax"
    source: ClassVar[str] = "Softmax GAN (Lin, 2017), arXiv:1704.06191, section 3"
    paired: ClassVar[bool] = True

    def d_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return _log_partition(real, fake).mean() - real.mean()

    def g_loss(self, fake: Tensor, real: Tensor | None) -> Tensor:
        assert real is not None, "a paired loss receives logits of real samples"
        return _log_partition(real, fake).mean() - (real.mean() + fake.mean()) / 2

    def estimates(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """Total probability of the batch's real samples; 1/2 = chance."""
        share = torch.logsumexp(real, 0) - _log_partition(real, fake)
        return {"softmax_real_share": share.exp().mean()}


def _log_partition(real: Tensor, fake: Tensor) -> Tensor:
    """log Z [...] of logits [N, ...]."""
    return torch.logsumexp(torch.cat([real, fake]), 0)
