"""Feature matching: fakes must have the same mean discriminator features as real samples.

Improved Techniques for Training GANs (Salimans et al., 2016), arXiv:1606.03498, section 3.1.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor

from ganforge.api import Play, Role, Term, UserError, Verdict, leaves


class FeatureMatching(Term):
    """||E f(x) - E f(G(z))||_2^2 with f the discriminator's features, in the generator's update."""

    type: Literal["feature_matching"] = "feature_matching"
    source: ClassVar[str] = (
        "Improved Techniques for Training GANs (Salimans et al., 2016), arXiv:1606.03498, section 3.1"
    )
    players: ClassVar[frozenset[Role]] = frozenset({"g"})

    def __call__(self, play: Play) -> Tensor:
        difference = play.mean(self._centre(play.real_verdict) - self._centre(play.fake_verdict))  # [F]
        return difference.square().sum()  # scalar

    def _centre(self, verdict: Verdict) -> Tensor:
        """The mean over the samples of each feature, [F] in all: of every layer, channel and place."""
        if verdict.features is None:
            raise UserError(
                f"term '{self.type}' needs a discriminator that returns features, and this one does not; "
                "use other [nets] or remove the term"
            )
        return torch.cat([layer.mean(0).flatten() for layer in leaves(verdict.features)])
