"""What leaves a network in half precision, for losses and terms, which compute in float32 at least."""

from __future__ import annotations

import torch
from torch import Tensor

from ganforge.api import Verdict


def at_least_float32(x: Tensor) -> Tensor:
    """`x`, in float32 where it was in less."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def verdict_at_least_float32(verdict: Verdict) -> Verdict:
    """The same for logits, heads and features."""
    return Verdict(
        at_least_float32(verdict.logits),
        {name: at_least_float32(head) for name, head in verdict.heads.items()},
        None if verdict.features is None else at_least_float32(verdict.features),
    )
