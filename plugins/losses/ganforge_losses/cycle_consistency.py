"""Cycle consistency: there and back again is where one was.

Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks (Zhu, Park, Isola &
Efros, 2017), arXiv:1703.10593, equation 2; of one generator for several domains StarGAN (Choi et al., 2018),
arXiv:1711.09020, equation 4.
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
    the other; of the task `multi_domain` E |x - G(G(x, c), c')| for x of domain c'. The mean over all numbers
    of a sample, in the generator's update."""

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
        returned = self._returned(play)
        distance: Tensor = (returned - play.extra["source"]).abs().mean()
        return distance

    def _returned(self, play: Play) -> Tensor:
        """The fakes, translated back to where they were made from."""
        z = torch.zeros_like(play.draw.z)
        returned: Tensor
        if "origin" in play.extra and play.generator is not None:
            returned = play.generator(z, {"image": play.fake, "domain": play.extra["origin"]})
            return returned
        _, back = opposite(play, self.type)
        returned = member(play, back, self.type)(z, play.fake)
        return returned
