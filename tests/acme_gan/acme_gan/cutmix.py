"""The consistency of a U-Net discriminator under CutMix."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from ganforge.api import Play, Term, UserError, Verdict, rows


class CutMix(Term):
    """|| D(mix(x, G(z), M)) - mix(D(x), D(G(z)), M) ||^2 of the logits of pixels, with a random box M."""

    type: Literal["acme_cutmix"] = "acme_cutmix"
    source: ClassVar[str] = (
        "A U-Net Based Discriminator for Generative Adversarial Networks (Schönfeld, Schiele & Khoreva, 2020), "
        "arXiv:2002.12655, equation 8"
    )
    example: ClassVar[Mapping[str, Any]] = {
        "nets": {"type": "acme_unet", "of": {"type": "dcgan", "width": 4}, "width": 4, "depth": 2}
    }

    def __call__(self, play: Play) -> Tensor:
        box = rows(play.rng, len(play.real), lambda n, rng: _boxes(n, play.real, rng))
        mixed = play.critic(torch.where(box, play.real, play.fake), play.cond)
        target = torch.where(box, _pixels(play.real_verdict), _pixels(play.fake_verdict))
        return (_pixels(mixed) - target).square().mean()


def _pixels(verdict: Verdict) -> Tensor:
    if not isinstance(verdict.logits, dict) or "pixels" not in verdict.logits:
        raise UserError("term 'acme_cutmix' needs a discriminator that judges pixels; use nets 'acme_unet'")
    found: Tensor = verdict.logits["pixels"]
    return found


def _boxes(n: int, like: Tensor, rng: torch.Generator) -> Tensor:
    """Bool [n, 1, H, W], True in a random box of a random area."""
    height, width = like.shape[2:]
    drawn = torch.rand(n, 3, generator=rng, device=like.device)
    side = drawn[:, 0].sqrt()

    def inside(start: Tensor, size: int) -> Tensor:
        place = torch.arange(size, device=like.device) / size
        first = (start * (1 - side))[:, None]
        return (place >= first) & (place < first + side[:, None])

    return inside(drawn[:, 1], height)[:, None, :, None] & inside(drawn[:, 2], width)[:, None, None, :]
