"""log sum exp over a batch that several processes share."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ganforge.api import Play

LogSumExp = Callable[[Tensor], Tensor]
"""Logits [N, ...] -> [...]."""


def of_one_process(x: Tensor) -> Tensor:
    """Over the samples x [N, ...] of this process alone: [...]."""
    return torch.logsumexp(x, 0)


def of_all_processes(play: Play) -> LogSumExp:
    """Over the samples of all processes, differentiable; all of them must ask for it."""
    if play.world == 1:
        return of_one_process

    def log_sum_exp(x: Tensor) -> Tensor:
        # The same shift in all processes, near the largest logit of each.
        shift = play.mean(x.detach().amax(0))  # [...]
        total = play.mean((x - shift).exp().sum(0)) * play.world  # [...]
        return total.log() + shift

    return log_sum_exp
