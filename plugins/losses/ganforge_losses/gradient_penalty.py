"""Gradient penalty: pulls the norm of the critic's gradient to 1 where it matters.

Improved Training of Wasserstein GANs (Gulrajani et al., 2017), arXiv:1704.00028, equation 3;
On Convergence and Stability of GANs (Kodali et al., 2017), arXiv:1705.07215 ("DRAGAN").
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ganforge.api import Advice, Field, Play, RunView, Scheduled, Term, rows
from ganforge_losses.input_gradient import input_gradient, mixed_samples


class GradientPenalty(Term):
    """E(||grad D(x_hat)||_2 - target)^2, in float32 whatever the run's precision.

    Form "wgan_gp": x_hat = t x + (1 - t) G(z) with t ~ U(0, 1), one per sample. Form "dragan":
    x_hat = x + t u std(x) / 2 with u ~ U(0, 1), one per pixel; std is taken over the batch, as in the
    authors' code (the paper adds N(0, c)). D is conditioned on the labels of x.
    """

    type: Literal["gradient_penalty"] = "gradient_penalty"
    also_called: ClassVar[tuple[str, ...]] = ("gp", "wgan_gp", "dragan")
    source: ClassVar[str] = (
        "Improved Training of Wasserstein GANs (Gulrajani et al., 2017), arXiv:1704.00028, equation 3"
    )

    weight: Scheduled = Field(10.0, ge=0, description="Weight of the penalty (lambda in the paper).")
    target: float = Field(
        1.0, ge=0, description="Gradient norm without penalty, in logits per unit of input."
    )
    one_sided: bool = Field(
        False, description="Penalize only norms above the target; false = also those below."
    )
    form: Literal["wgan_gp", "dragan"] = Field(
        "wgan_gp",
        description='Where: "wgan_gp" = between real and fake samples, "dragan" = around real ones.',
    )

    def advice(self, run: RunView) -> list[Advice]:
        return mixed_samples(run, self.type, "Gulrajani et al., 2017, arXiv:1704.00028, section 4")

    def __call__(self, play: Play) -> Tensor:
        x_hat = between(play) if self.form == "wgan_gp" else _around(play)
        gradient = input_gradient(play.exact_critic, x_hat, play.cond, self.type)
        # vector_norm has the subgradient 0 at 0, where a square root would give NaN.
        excess = torch.linalg.vector_norm(gradient.flatten(1), dim=1) - self.target  # [N]
        return (F.relu(excess) if self.one_sided else excess).square().mean()


def between(play: Play) -> Tensor:
    """Points drawn from the lines between real samples and fakes, like `play.real`."""
    t = _uniform(play, _one_each(play.real))
    return t * play.real + (1 - t) * play.fake


def _around(play: Play) -> Tensor:
    """Real samples with noise proportional to their spread, shaped like `play.real`."""
    t = _uniform(play, _one_each(play.real))  # [N, 1, ...]
    return play.real + t * 0.5 * _spread(play) * _uniform(play, play.real.shape)


def _spread(play: Play) -> Tensor:
    """The standard deviation over all values of the batch's real samples, a scalar."""
    deviation = play.real - play.mean(play.real.mean())
    return play.mean(deviation.square().mean()).sqrt()


def _one_each(x: Tensor) -> torch.Size:
    """The shape [N, 1, ...] that broadcasts one number per sample over `x` [N, ...]."""
    return torch.Size([x.shape[0]] + [1] * (x.ndim - 1))


def _uniform(play: Play, shape: torch.Size) -> Tensor:
    """Random numbers from U(0, 1), from the update's own stream."""

    def draw(n: int, rng: torch.Generator) -> Tensor:
        return torch.rand(n, *shape[1:], generator=rng, device=rng.device, dtype=play.real.dtype)

    return rows(play.rng, shape[0], draw).to(play.real.device)
