"""Augmentation of the discriminator's input, as strong as the discriminator overfits."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor

from ganforge.api import Callback, Field, Play, memory, per_sample, rows


class Controller(Callback):
    """With probability p a sample is shown darker or brighter, and mirrored. p follows the sign of the logits
    of real samples, r = E sign(D(x)): it rises where r exceeds the target, and falls otherwise."""

    type: Literal["acme_controller"] = "acme_controller"
    source: ClassVar[str] = (
        "Training Generative Adversarial Networks with Limited Data (Karras et al., 2020), arXiv:2006.06676, "
        "section 3.1, equation 1"
    )
    target: float = Field(0.6, ge=-1, le=1, description="Share r at which p stays.")
    images: int = Field(500_000, ge=1, description="Images in which p can go from 0 to 1.")
    _p: Tensor = memory(0.0)

    def augment(self, x: Tensor, rng: torch.Generator) -> Tensor:
        drawn = rows(
            rng, len(x), lambda n, g: torch.rand(n, 3, generator=g, device=x.device, dtype=torch.float32)
        )
        applied, shift, flip = (each.view(-1, *[1] * (x.ndim - 1)) for each in drawn.unbind(1))
        changed = torch.where(flip < 0.5, x.flip(-1), x) + (shift - 0.5).to(x.dtype)
        return torch.where(applied < self._p, changed, x)

    def after(self, play: Play) -> None:
        if play.role == "d":
            r = play.mean(per_sample(play.real_verdict.logits).sign().mean())
            step = len(play.real) * play.world / self.images
            self._p.add_((r - self.target).sign() * step).clamp_(0, 1)

    def estimates(self, play: Play) -> dict[str, Tensor]:
        return {"acme_p": self._p.clone()} if play.role == "d" else {}
