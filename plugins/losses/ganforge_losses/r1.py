"""R1: the discriminator is kept flat at real samples, where a converged game has no slope.

Which Training Methods for GANs do actually Converge? (Mescheder et al., 2018),
arXiv:1801.04406, equation 9.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor

from ganforge.api import Field, Play, Scheduled, Term
from ganforge_losses.input_gradient import input_gradient


class R1(Term):
    """E ||grad D(x)||^2 / 2 at real x, in float32 whatever the run's precision.

    The half belongs to the term, so `weight` is the gamma of the paper (gamma / 2 * E ||grad D||^2).
    """

    type: Literal["r1"] = "r1"
    source: ClassVar[str] = (
        "Which Training Methods for GANs do actually Converge? (Mescheder et al., 2018), "
        "arXiv:1801.04406, equation 9"
    )

    weight: Scheduled = Field(
        10.0, description="Gamma of the paper: the objective gains gamma / 2 * E ||grad D(x)||^2."
    )

    def __call__(self, play: Play) -> Tensor:
        gradient = input_gradient(play.exact_critic, play.real, play.cond, self.type)
        return 0.5 * gradient.square().flatten(1).sum(1).mean()
