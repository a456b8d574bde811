"""Discriminative classifier: a label is found in real samples that have it, and in no fake.

Conditional GANs with Auxiliary Discriminative Classifier (Hou, Cao, Shen, Pan, Li & Cheng, 2022),
arXiv:2107.10060, for several labels at once: one sigmoid for each in place of a softmax over 2K classes.
AC-GAN's classifier is not trained against fakes, so the generator may please it with patterns of its own;
this one is. It amounts to K matching-aware discriminators (Generative Adversarial Text to Image Synthesis,
Reed et al., 2016, arXiv:1605.05396, section 4.2): a real sample without the label is one that does not match.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch.nn.functional as F
from torch import Tensor

from ganforge.api import DataSpec, Field, Play, Prior, Role, Share, Term
from ganforge_losses.auxiliary_classifier import classes, labels_found, part_of

HEAD = "label_found"


class DiscriminativeClassifier(Term):
    """-log P(label k is there, and the sample is real), summed over the labels, mean over the batch, in nats.

    D: real samples have their own labels, and fakes none of those that were asked for. G: each fake has the
    labels that were asked for, and no others.
    """

    type: Literal["discriminative_classifier"] = "discriminative_classifier"
    source: ClassVar[str] = (
        "Conditional GANs with Auxiliary Discriminative Classifier (Hou, Cao, Shen, Pan, Li & Cheng, "
        "2022), arXiv:2107.10060"
    )
    players: ClassVar[frozenset[Role]] = frozenset({"d", "g"})

    fake_weight: float = Field(
        1.0,
        ge=0,
        description="Weight of the fakes in the discriminator's update; 0 = the classifier learns from real "
        "samples only, and the generator can please it by patterns of its own.",
    )
    generator_weight: float = Field(1.0, ge=0, description="Weight of the fakes in the generator's update.")
    condition: str = Field(
        "",
        description="Of several conditions by name, the one that is classified; empty = there is only one.",
    )

    def heads(self, spec: DataSpec, prior: Prior) -> dict[str, int]:
        return {HEAD: classes(self, spec, self.condition).width}

    def __call__(self, play: Play) -> Tensor:
        if play.role == "g":
            return self.generator_weight * _binary(
                play.fake_verdict.heads[HEAD], part_of(play.fake_cond, self.condition)
            )
        value = _binary(play.real_verdict.heads[HEAD], part_of(play.cond, self.condition))
        if self.fake_weight:
            # [N, K]: what was not asked for says nothing about a fake, which may show it all the same.
            logits, asked = play.fake_verdict.heads[HEAD], part_of(play.fake_cond, self.condition)
            value = value + self.fake_weight * (F.softplus(logits) * asked).sum() / len(logits)
        return value

    def estimates(self, play: Play) -> dict[str, Share]:
        """The share of a sample's k labels among its top k outputs, in the discriminator's update."""
        if play.role == "g":
            return {}
        return {
            "labels_found_real": labels_found(
                play.real_verdict.heads[HEAD], part_of(play.cond, self.condition)
            ),
            "labels_found_fake": labels_found(
                play.fake_verdict.heads[HEAD], part_of(play.fake_cond, self.condition)
            ),
        }


def _binary(logits: Tensor, labels: Tensor) -> Tensor:
    """Binary cross-entropy of labels [N, K] under logits [N, K]: summed over K, mean over N."""
    total: Tensor = F.binary_cross_entropy_with_logits(logits, labels, reduction="sum")
    return total / len(logits)
