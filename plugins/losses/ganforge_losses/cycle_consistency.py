"""Cycle consistency: there and back again is where one was.

Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks (Zhu, Park, Isola &
Efros, 2017), arXiv:1703.10593, equation 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from ganforge.api import Field, Play, Role, Scheduled, Term
from ganforge_losses.generators import member, opposite


class CycleConsistency(Term):
    """E |x - ba(ab(x))| for the fakes of one comparison of the task `cycle`, E |y - ab(ba(y))| for those of
    the other; the mean over all numbers of a sample, in the generator's update."""

    type: Literal["cycle_consistency"] = "cycle_consistency"
    example: ClassVar[Mapping[str, Any]] = {
        "task": {"type": "cycle"},
        "data": {"type": "squares", "labels": "image", "pairs": False},
        "nets": {"type": "translator", "width": 4, "blocks": 1, "d_width": 4, "d_layers": 1},
    }
    source: ClassVar[str] = (
        "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks (Zhu, Park, "
        "Isola & Efros, 2017), arXiv:1703.10593, equation 2"
    )
    players: ClassVar[frozenset[Role]] = frozenset({"g"})

    weight: Scheduled = Field(10.0, ge=0, description="Factor on the distance (lambda of the paper).")

    def __call__(self, play: Play) -> Tensor:
        _, back = opposite(play, self.type)
        returned = member(play, back, self.type)(torch.zeros_like(play.draw.z), play.fake)
        distance: Tensor = (returned - play.extra["source"]).abs().mean()
        return distance
