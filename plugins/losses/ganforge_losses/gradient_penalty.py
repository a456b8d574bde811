"""Gradient penalty: the critic's slope is pulled to 1, where it matters.

Improved Training of Wasserstein GANs (Gulrajani et al., 2017), arXiv:1704.00028, equation 3;
On Convergence and Stability of GANs (Kodali et al., 2017), arXiv:1705.07215 ("DRAGAN").
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ganforge.api import Field, Play, Term, rows
from ganforge_losses.input_gradient import input_gradient


class GradientPenalty(Term):
    """E(||grad D(x_hat)||_2 - target)^2, in float32 whatever the run's precision.

    Form "wgan_gp": x_hat = t x + (1 - t) G(z) with t ~ U(0, 1), one per sample. Form "dragan":
    x_hat = x + t u std(x) / 2 with u ~ U(0, 1), one per pixel, and std over the batch; so the
    authors' code, where the paper has x + N(0, c). Either is judged under the condition of x.
    """

    type: Literal["gradient_penalty"] = "gradient_penalty"
    source: ClassVar[str] = (
        "Improved Training of Wasserstein GANs (Gulrajani et al., 2017), arXiv:1704.00028, equation 3"
    )

    weight: float = Field(10.0, description="Factor on the penalty (lambda of the paper).")
    target: float = Field(
        1.0, ge=0, description="Slope that is not penalised, in logits per unit of input; 0 = any slope is."
    )
    one_sided: bool = Field(
        False, description="Penalise only slopes above the target; false = those below it, too."
    )
    form: Literal["wgan_gp", "dragan"] = Field(
        "wgan_gp",
        description='Where: "wgan_gp" = between real and fake samples, "dragan" = around real ones.',
    )

    def __call__(self, play: Play) -> Tensor:
        x_hat = between(play) if self.form == "wgan_gp" else _around(play)
        gradient = input_gradient(play.exact_critic, x_hat, play.cond, self.type)
        # vector_norm has the subgradient 0 at 0, where a square root would give NaN.
        excess = torch.linalg.vector_norm(gradient.flatten(1), dim=1) - self.target
        return (F.relu(excess) if self.one_sided else excess).square().mean()


def between(play: Play) -> Tensor:
    """Points drawn from the lines between real samples and fakes, like `play.real`."""
    t = _uniform(play, _one_each(play.real))
    return t * play.real + (1 - t) * play.fake


def _around(play: Play) -> Tensor:
    """Real samples with noise that grows with their spread, like `play.real`."""
    t = _uniform(play, _one_each(play.real))
    return play.real + t * 0.5 * _spread(play) * _uniform(play, play.real.shape)


def _spread(play: Play) -> Tensor:
    """The standard deviation of all numbers in the batch's real samples, a scalar."""
    deviation = play.real - play.mean(play.real.mean())
    return play.mean(deviation.square().mean()).sqrt()


def _one_each(x: Tensor) -> torch.Size:
    """The shape [N, 1, ...] that spreads one number per sample over `x` [N, ...]."""
    return torch.Size([x.shape[0]] + [1] * (x.ndim - 1))


def _uniform(play: Play, shape: torch.Size) -> Tensor:
    """Numbers from U(0, 1) of the update's own random stream."""

    def draw(n: int, rng: torch.Generator) -> Tensor:
        return torch.rand(n, *shape[1:], generator=rng, device=rng.device, dtype=play.real.dtype)

    return rows(play.rng, shape[0], draw).to(play.real.device)
