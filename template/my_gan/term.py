"""The term: one more scalar in the objective of a player."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from ganforge.api import Field, Play, Scheduled, Term, memory, per_sample


class MyTerm(Term):
    """Keeps the logits of real samples near their running mean."""

    type: Literal["my"] = "my"
    weight: Scheduled = Field(0.1, ge=0, description="Weight of the term in the discriminator's objective.")
    _mean: Tensor = memory(0.0)

    def __call__(self, play: Play) -> Tensor:
        logits = per_sample(play.real_verdict.logits)  # [N]
        self._mean.lerp_(play.mean(logits.detach().mean()), 0.01)
        return (logits - self._mean.clone()).square().mean()
