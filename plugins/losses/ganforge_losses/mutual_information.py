"""Mutual information: the codes must be predictable from the fakes.

InfoGAN: Interpretable Representation Learning by Information Maximizing Generative Adversarial
Nets (Chen et al., 2016), arXiv:1606.03657, equations 5 and 6.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch.nn.functional as F
from torch import Tensor

from ganforge.api import DataSpec, Field, Play, Prior, Role, Scheduled, Term, UserError


class MutualInformation(Term):
    """-E log Q(c | G(z, c)), summed over the codes c, in nats.

    Q is a head of the discriminator for each code of the prior, with the code's name. The lower bound of
    the mutual information is H(c) minus this term, and H(c) is constant. Both players minimize it: the
    discriminator to predict the codes, the generator to show them.
    """

    type: Literal["mutual_information"] = "mutual_information"
    example: ClassVar[Mapping[str, Any]] = {
        "prior": {"type": "codes", "dim": 4, "categorical": [3], "continuous": 2}
    }
    source: ClassVar[str] = (
        "InfoGAN: Interpretable Representation Learning by Information Maximizing Generative Adversarial "
        "Nets (Chen et al., 2016), arXiv:1606.03657, equation 5"
    )
    players: ClassVar[frozenset[Role]] = frozenset({"d", "g"})

    weight: Scheduled = Field(
        1.0, ge=0, description="Weight of the term in the player's objective (lambda in the paper)."
    )
    continuous_weight: float = Field(
        0.1,
        ge=0,
        description="Additional weight of continuous codes, whose differential entropy is on another scale "
        "(the paper recommends a smaller lambda); 1 = the same as categorical codes.",
    )
    learn_variance: bool = Field(
        False, description="Q also predicts the variance of continuous codes; false = it is 1."
    )

    def heads(self, spec: DataSpec, prior: Prior) -> dict[str, int]:
        codes = prior.codes()
        if not codes:
            raise UserError(
                f"term '{self.type}' needs a prior with codes, but prior '{prior.type}' has none; use for "
                "example prior 'codes' with categorical = [10] or continuous = 2"
            )
        per_number = 2 if self.learn_variance else 1
        return {code.name: code.width * (1 if code.kind == "categorical" else per_number) for code in codes}

    def __call__(self, play: Play) -> Tensor:
        heads = play.fake_verdict.heads  # code: [N, width], or [N, 2 * width] with variances
        parts = [
            self._surprise(heads[name], code) * (self.continuous_weight if code.is_floating_point() else 1.0)
            for name, code in play.draw.codes.items()
        ]
        return sum(parts[1:], start=parts[0])

    def estimates(self, play: Play) -> dict[str, Tensor]:
        """The lower bound H(c) - E[-log Q(c | x)] of each code's mutual information, in nats."""
        if play.role == "d":
            return {}
        heads = play.fake_verdict.heads
        return {
            f"mutual_information_{name}": _entropy(heads[name], code) - self._surprise(heads[name], code)
            for name, code in play.draw.codes.items()
        }

    def _surprise(self, head: Tensor, code: Tensor) -> Tensor:
        """-E log Q(code) in nats, a scalar; `code` is classes [N] or numbers [N, width]."""
        if not code.is_floating_point():
            return F.cross_entropy(head, code)
        # mean [N, width]; log_variance the same, or a scalar
        mean, log_variance = head.chunk(2, dim=1) if self.learn_variance else (head, head.new_zeros(()))
        squared = (code - mean).square() * (-log_variance).exp()  # [N, width]
        nll = 0.5 * (squared + log_variance + math.log(2 * math.pi))  # [N, width]
        return nll.sum(1).mean()


def _entropy(head: Tensor, code: Tensor) -> float:
    """H(c) in nats: of uniform classes, or the differential entropy of U(-1, 1)."""
    return code.shape[1] * math.log(2) if code.is_floating_point() else math.log(head.shape[1])
