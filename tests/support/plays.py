"""Moves of a game made by hand, for the tests of terms."""

from __future__ import annotations

import torch
from torch import Tensor

import ganforge_losses
from ganforge.api import Critic, Draw, Play, Role, Term

TERMS = {c.type_name(): c for c in ganforge_losses.ganforge_components() if issubclass(c, Term)}
PENALTIES = ["gradient_penalty", "r1", "r2"]
ELSEWHERE = {
    "adaptive_weight",
    "cycle_consistency",
    "guide",
    "identity",
    "lecam",
    "path_length",
    "perceptual",
    "reconstruction",
    "wgan_div",
}
"""Terms with a test file of their own."""
N = 4


def make(name: str, **fields: object) -> Term:
    return TERMS[name].model_validate({"type": name, **fields})


def play(
    critic: Critic,
    real: Tensor,
    fake: Tensor,
    role: Role = "d",
    cond: Tensor | None = None,
    fake_cond: Tensor | None = None,
    codes: dict[str, Tensor] | None = None,
) -> Play:
    draw = Draw(z=torch.zeros(len(fake), 1), cond=fake_cond, codes=codes or {})
    return Play(role, real, cond, fake, draw, critic, critic, torch.Generator().manual_seed(7))
