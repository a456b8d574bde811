"""Identity: what is of a domain already is left as it is.

Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks (Zhu, Park, Isola &
Efros, 2017), arXiv:1703.10593, section 5.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from ganforge.api import Field, Play, Role, Scheduled, Term, UserError
from ganforge_losses.generators import member, opposite


class Identity(Term):
    """E |y - ab(y)| for real samples y of the domain that `ab` makes, and E |x - ba(x)|; the mean over all
    numbers of a sample, in the generator's update. For the task `cycle` with domains of one shape."""

    type: Literal["identity"] = "identity"
    example: ClassVar[Mapping[str, Any]] = {
        "task": {"type": "cycle"},
        "data": {"type": "squares", "labels": "image", "pairs": False},
        "nets": {"type": "translator", "width": 4, "blocks": 1, "d_width": 4, "d_layers": 1},
    }
    source: ClassVar[str] = (
        "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks (Zhu, Park, "
        "Isola & Efros, 2017), arXiv:1703.10593, section 5.2"
    )
    players: ClassVar[frozenset[Role]] = frozenset({"g"})

    weight: Scheduled = Field(
        5.0, ge=0, description="Factor on the distance; half of that of cycle_consistency in the paper."
    )

    def __call__(self, play: Play) -> Tensor:
        there, _ = opposite(play, self.type)
        source = play.extra["source"]
        if source.shape != play.real.shape:
            raise UserError(
                f"term '{self.type}' needs domains of one shape, got samples of {list(play.real.shape[1:])} "
                f"and {list(source.shape[1:])}; remove the term"
            )
        same: Tensor = member(play, there, self.type)(torch.zeros_like(play.draw.z), play.real)
        return (same - play.real).abs().mean()
