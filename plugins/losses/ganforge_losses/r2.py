"""R2: penalizes the discriminator's gradient at fakes.

Which Training Methods for GANs do actually Converge? (Mescheder et al., 2018),
arXiv:1801.04406, equation 10.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor

from ganforge.api import Advice, Field, Play, RunView, Scheduled, Term
from ganforge_losses.input_gradient import input_gradient, mixed_samples


class R2(Term):
    """E ||grad D(G(z))||^2 / 2, in float32 whatever the run's precision.

    The factor 1/2 belongs to the term, so `weight` is the paper's gamma (gamma / 2 * E ||grad D||^2).
    """

    type: Literal["r2"] = "r2"
    source: ClassVar[str] = (
        "Which Training Methods for GANs do actually Converge? (Mescheder et al., 2018), "
        "arXiv:1801.04406, equation 10"
    )

    weight: Scheduled = Field(
        10.0, ge=0, description="Gamma in the paper: adds gamma / 2 * E ||grad D(G(z))||^2 to the objective."
    )

    def advice(self, run: RunView) -> list[Advice]:
        return mixed_samples(run, self.type, "Mescheder et al., 2018, arXiv:1801.04406")

    def __call__(self, play: Play) -> Tensor:
        gradient = input_gradient(play.exact_critic, play.fake, play.fake_cond, self.type)  # [N, ...]
        return 0.5 * gradient.square().flatten(1).sum(1).mean()  # [N, ...] -> [N] -> scalar
