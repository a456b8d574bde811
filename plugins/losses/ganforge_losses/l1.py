"""L1: a fake must match the sample that its condition belongs to.

Image-to-Image Translation with Conditional Adversarial Networks (Isola, Zhu, Zhou & Efros, 2016),
arXiv:1611.07004, equations 3 and 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from torch import Tensor

from ganforge.api import Field, Play, Role, Scheduled, Term


class L1(Term):
    """E |x - G(z, y)|, the mean over all values of a sample, in the generator's update. Fakes are made
    for the conditions of the batch's real samples, in their order."""

    type: Literal["l1"] = "l1"
    example: ClassVar[Mapping[str, Any]] = {
        "task": {"type": "translate"},
        "data": {"type": "squares", "labels": "image"},
        "nets": {"type": "unet", "width": 4, "d_width": 4, "d_layers": 1, "d_norm": "none"},
    }
    source: ClassVar[str] = (
        "Image-to-Image Translation with Conditional Adversarial Networks (Isola, Zhu, Zhou & Efros, 2016), "
        "arXiv:1611.07004, equation 3"
    )
    players: ClassVar[frozenset[Role]] = frozenset({"g"})

    weight: Scheduled = Field(100.0, ge=0, description="Weight of the distance (lambda in the paper).")

    def __call__(self, play: Play) -> Tensor:
        return (play.fake - play.real).abs().mean()
