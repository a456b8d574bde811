"""Auxiliary classifier: the discriminator also predicts the label, and fakes must show theirs.

Conditional Image Synthesis with Auxiliary Classifier GANs (Odena et al., 2017),
arXiv:1610.09585, equation 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch.nn.functional as F
from torch import Tensor

from ganforge.api import DataSpec, Field, LabelSpec, Play, Prior, Role, Share, Term, Tree, UserError

ONE_OF_K = "label"
MANY_OF_K = "labels"


class AuxiliaryClassifier(Term):
    """-E log P(label | x) over real samples and fakes; in the generator's update over fakes alone.

    One of K: head "label", softmax cross-entropy. Many of K: head "labels", binary cross-entropy, mean
    over the K labels. Two names, because a term sees heads but not the data's `LabelSpec`.
    """

    type: Literal["auxiliary_classifier"] = "auxiliary_classifier"
    source: ClassVar[str] = (
        "Conditional Image Synthesis with Auxiliary Classifier GANs (Odena et al., 2017), "
        "arXiv:1610.09585, equation 3"
    )
    players: ClassVar[frozenset[Role]] = frozenset({"d", "g"})

    real_weight: float = Field(
        1.0, ge=0, description="Weight of the real samples in the discriminator's update."
    )
    fake_weight: float = Field(
        1.0,
        ge=0,
        description="Weight of the fakes in the discriminator's update; 0 = the classifier learns from real "
        "samples only.",
    )
    generator_weight: float = Field(1.0, ge=0, description="Weight of the fakes in the generator's update.")
    condition: str = Field(
        "",
        description="Of several conditions by name, the one that is classified; empty = there is only one.",
    )

    def heads(self, spec: DataSpec, prior: Prior) -> dict[str, int]:
        labels = classes(self, spec, self.condition)
        if labels.kind == "one_of_k":
            return {ONE_OF_K: labels.width}
        return {MANY_OF_K: labels.width}

    def __call__(self, play: Play) -> Tensor:
        if play.role == "g":
            return self.generator_weight * _cross_entropy(play.fake_verdict.heads, self._of(play.fake_cond))
        # heads [N, K] and conditions [N, K] -> a scalar
        value = self.real_weight * _cross_entropy(play.real_verdict.heads, self._of(play.cond))
        # Without weight it would cost a backward pass through the classifier all the same.
        if self.fake_weight:
            value = value + self.fake_weight * _cross_entropy(
                play.fake_verdict.heads, self._of(play.fake_cond)
            )
        return value

    def _of(self, cond: Tree) -> Tensor:
        return part_of(cond, self.condition)

    def estimates(self, play: Play) -> dict[str, Share]:
        """The classifier's accuracy in the discriminator's update: the share of a sample's k labels among
        its top k outputs."""
        if play.role == "g":
            return {}
        return {
            "class_accuracy_real": labels_found(_outputs(play.real_verdict.heads), self._of(play.cond)),
            "class_accuracy_fake": labels_found(_outputs(play.fake_verdict.heads), self._of(play.fake_cond)),
        }


def classes(term: Term, spec: DataSpec, condition: str) -> LabelSpec:
    """The labels, one or many of K, that `term` classifies: those of the data, or of several conditions the
    one called `condition`. Raises `UserError` if there are none."""
    labels = spec.labels
    if condition or labels.parts:
        if condition not in labels.parts:
            raise UserError(
                f"term '{term.type}': expected condition to be one of "
                f"{', '.join(labels.parts) or 'none (the data has no conditions by name)'}, got "
                f"'{condition}'"
            )
        labels = labels.parts[condition]
    if labels.kind in ("one_of_k", "many_of_k"):
        return labels
    got = {"none": "has none", "vector": "has vectors"}.get(labels.kind, "has images")
    raise UserError(
        f"term '{term.type}' needs data labelled with one or many of K classes, but the data {got}; "
        "use other [data] or remove the term"
    )


def part_of(cond: Tree, condition: str) -> Tensor:
    """The labels among the conditions; a task may show the critic these alone."""
    found: Tensor | None = cond[condition] if isinstance(cond, Mapping) else cond
    assert found is not None, "labelled data gives every sample and every fake a condition"
    return found


def _outputs(heads: Mapping[str, Tensor]) -> Tensor:
    """The classifier's: [N, K]."""
    return heads[ONE_OF_K] if ONE_OF_K in heads else heads[MANY_OF_K]


def labels_found(outputs: Tensor, cond: Tensor) -> Share:
    """Top-k accuracy of `outputs` [N, K] for `cond` [N, K]: labels found, of labels present, which may be
    none."""
    rank = outputs.argsort(dim=1, descending=True).argsort(dim=1)  # [N, K]
    chosen = rank < cond.sum(dim=1, keepdim=True)  # bool [N, K]
    return Share((chosen * cond).sum(), cond.sum())


def _cross_entropy(heads: Mapping[str, Tensor], cond: Tensor) -> Tensor:
    """Mean cross-entropy in nats, a scalar, of labels `cond` [N, K] under the head [N, K]."""
    if ONE_OF_K in heads:
        return F.cross_entropy(heads[ONE_OF_K], cond)
    return F.binary_cross_entropy_with_logits(heads[MANY_OF_K], cond)
