"""L1: a fake must match the sample that its condition belongs to.

Image-to-Image Translation with Conditional Adversarial Networks (Isola, Zhu, Zhou & Efros, 2016),
arXiv:1611.07004, equations 3 and 4.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor

from ganforge.api import Field, Play, Role, Scheduled, Term


class L1(Term):
    """E |x - G(z, y)|, the mean over all values of a sample, in the generator's update. Fakes are made
    for the conditions of the batch's real samples, in their order."""

    type: Literal["l1"] = "l1"
    source: ClassVar[str] = (
        "Image-to-Image Translation with Conditional Adversarial Networks (Isola, Zhu, Zhou & Efros, 2016), "
        "arXiv:1611.07004, equation 3"
    )
    players: ClassVar[frozenset[Role]] = frozenset({"g"})

    weight: Scheduled = Field(100.0, ge=0, description="Weight of the distance (lambda in the paper).")

    def __call__(self, play: Play) -> Tensor:
        return (play.fake - play.real).abs().mean()
