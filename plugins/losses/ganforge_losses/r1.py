"""R1: penalizes the discriminator's gradient at real samples, where it vanishes at convergence.

Which Training Methods for GANs do actually Converge? (Mescheder et al., 2018),
arXiv:1801.04406, equation 9.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor

from ganforge.api import Advice, Field, Play, RunView, Scheduled, Term
from ganforge_losses.input_gradient import input_gradient, mixed_samples


class R1(Term):
    """E ||grad D(x)||^2 / 2 at real x, in float32 whatever the run's precision.

    The factor 1/2 belongs to the term, so `weight` is the paper's gamma (gamma / 2 * E ||grad D||^2).
    """

    type: Literal["r1"] = "r1"
    source: ClassVar[str] = (
        "Which Training Methods for GANs do actually Converge? (Mescheder et al., 2018), "
        "arXiv:1801.04406, equation 9"
    )

    weight: Scheduled = Field(
        10.0, ge=0, description="Gamma in the paper: adds gamma / 2 * E ||grad D(x)||^2 to the objective."
    )

    def advice(self, run: RunView) -> list[Advice]:
        return mixed_samples(run, self.type, "Mescheder et al., 2018, arXiv:1801.04406")

    def __call__(self, play: Play) -> Tensor:
        gradient = input_gradient(play.exact_critic, play.real, play.cond, self.type)  # [N, ...]
        return 0.5 * gradient.square().flatten(1).sum(1).mean()  # [N, ...] -> [N] -> scalar
