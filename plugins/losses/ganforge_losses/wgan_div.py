"""Wasserstein divergence: a penalty on a power of the gradient norm, without a Lipschitz bound.

Wasserstein Divergence for GANs (Wu, Huang, Thoma, Acharya & Van Gool, 2017), arXiv:1712.01026.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor

from ganforge.api import Advice, Field, Play, RunView, Scheduled, Term
from ganforge_losses.gradient_penalty import between
from ganforge_losses.input_gradient import input_gradient, mixed_samples


class WassersteinDivergence(Term):
    """E ||grad D(x_hat)||_2^power, in float32 whatever the run's precision; `weight` is k and `power` is p
    of the paper. For the loss `wasserstein`.

    Sampled "between": x_hat = t x + (1 - t) G(z) with t ~ U(0, 1), one per sample; "both": half of the
    value at real samples and half at fakes. D is conditioned on the label of the
    real sample at x_hat, and on their own for fakes.
    """

    type: Literal["wgan_div"] = "wgan_div"
    source: ClassVar[str] = (
        "Wasserstein Divergence for GANs (Wu, Huang, Thoma, Acharya & Van Gool, 2017), arXiv:1712.01026"
    )

    weight: Scheduled = Field(2.0, ge=0, description="Weight of the penalty (k in the paper).")
    power: float = Field(6.0, gt=1, description="Exponent of the gradient norm (p in the paper).")
    sampled: Literal["between", "both"] = Field(
        "between", description="Where: between = between real samples and fakes, both = at either."
    )

    def advice(self, run: RunView) -> list[Advice]:
        return mixed_samples(run, self.type, "Gulrajani et al., 2017, arXiv:1704.00028, section 4")

    def __call__(self, play: Play) -> Tensor:
        if self.sampled == "between":
            return self._at(play, between(play), play.cond)
        return (self._at(play, play.real, play.cond) + self._at(play, play.fake, play.fake_cond)) / 2

    def _at(self, play: Play, x: Tensor, cond: Tensor | None) -> Tensor:
        gradient = input_gradient(play.exact_critic, x, cond, self.type)
        # vector_norm has the subgradient 0 at 0, where a square root would give NaN.
        norm = torch.linalg.vector_norm(gradient.flatten(1), dim=1)  # [N]
        value: Tensor = norm.pow(self.power).mean()
        return value
