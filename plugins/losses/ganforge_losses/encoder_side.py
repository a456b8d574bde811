"""The encoder's share in adversarial inference: real samples with their codes are to pass for made pairs.

Adversarial Feature Learning (Donahue, Krähenbühl & Darrell, 2016), arXiv:1605.09782, equation 3 and
section 3.4 (the targets exchanged for both players, instead of the minimax game).
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch.nn.functional as F
from torch import Tensor

from ganforge.api import Play, Role, Term, total


class EncoderSide(Term):
    """With D = sigmoid(logits): -E log(1 - D(x, E(x))), in the generator's update; for the task `infer` with
    the loss `bce`. A loss that compares both sides, such as `relativistic`, has this in it already."""

    type: Literal["encoder_side"] = "encoder_side"
    source: ClassVar[str] = (
        "Adversarial Feature Learning (Donahue, Krähenbühl & Darrell, 2016), arXiv:1605.09782, section 3.4"
    )
    players: ClassVar[frozenset[Role]] = frozenset({"g"})

    def __call__(self, play: Play) -> Tensor:
        value: Tensor = total(lambda logits: F.softplus(logits).mean(), play.real_verdict.logits)
        return value
