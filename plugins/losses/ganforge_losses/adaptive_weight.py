"""Adaptive weight: the adversarial loss pulls at the last layer as strongly as another term does.

Taming Transformers for High-Resolution Image Synthesis (Esser, Rombach & Ommer, 2020), arXiv:2012.09841,
equation 7 (VQGAN).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from ganforge.api import Field, Play, Role, Scheduled, Term, UserError, did_you_mean, memory

EPSILON = 1e-4
"""delta of the paper is 1e-6; its authors' code has this."""
MAX_WEIGHT = 1e4


class AdaptiveWeight(Term):
    """(w - 1) times the adversarial loss, so that it counts w times in all, in the generator's update:

    w = factor * ||gradient of term `of`|| / (||gradient of the adversarial loss|| + 1e-4), at most 1e4, with
    gradients with respect to `layer`, each with the term's weight. w itself is a constant in the update.
    """

    type: Literal["adaptive_weight"] = "adaptive_weight"
    example: ClassVar[Mapping[str, Any]] = {
        "terms": [
            {"type": "feature_matching"},
            {"type": "adaptive_weight", "of": "feature_matching", "layer": "convs.2.weight"},
        ]
    }
    source: ClassVar[str] = (
        "Taming Transformers for High-Resolution Image Synthesis (Esser, Rombach & Ommer, 2020), "
        "arXiv:2012.09841, equation 7"
    )
    players: ClassVar[frozenset[Role]] = frozenset({"g"})

    of: str = Field("l1", description="The term that is the measure; it stands before this one.")
    of_weight: float = Field(1.0, gt=0, description="Its weight in the run file.")
    layer: str = Field(
        "out.weight", min_length=1, description="Parameter of the generator at which both are measured."
    )
    factor: Scheduled = Field(
        0.8,
        ge=0,
        description="On the adaptive weight; a ramp from 0 starts without the adversarial loss.",
    )
    _weight: Tensor = memory(0.0)

    def __call__(self, play: Play) -> Tensor:
        layer = self._layer(play)
        if self.of not in play.parts:
            there = [name for name in play.parts if name != "adversarial"]
            raise UserError(
                f"term '{self.type}': no term '{self.of}' stands before it{did_you_mean(self.of, there)} "
                f"(those that do: {', '.join(there) or 'none'}); set of, or change the order"
            )
        measure = self.of_weight * self._norm(play, self.of, layer)
        weight = self.factor * measure / (self._norm(play, "adversarial", layer) + EPSILON)
        self._weight.copy_(weight.clamp(0, MAX_WEIGHT))
        return (self._weight.clone() - 1) * play.parts["adversarial"]

    def estimates(self, play: Play) -> dict[str, Tensor]:
        """The weight on the adversarial loss."""
        return {"adaptive_weight": self._weight.clone()}

    def _norm(self, play: Play, part: str, layer: Tensor) -> Tensor:
        """Of the gradient of a part of the objective: a scalar, without a graph."""
        (gradient,) = torch.autograd.grad(play.parts[part], layer, retain_graph=True)
        norm: Tensor = torch.linalg.vector_norm(play.mean(gradient.detach()))
        return norm

    def _layer(self, play: Play) -> Tensor:
        assert play.generator is not None
        try:
            return play.generator.get_parameter(self.layer)
        except AttributeError:
            names = [name for name, _ in play.generator.named_parameters()]
            raise UserError(
                f"term '{self.type}': the generator has no parameter '{self.layer}'"
                f"{did_you_mean(self.layer, names)}; its last ones: {', '.join(names[-4:])}"
            ) from None
