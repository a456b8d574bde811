"""One side of the game: a network, its optimiser, and what it minimises besides the loss."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import nn

from ganforge.api import Role, Term


@dataclass
class Player:
    """The discriminator ("d") or the generator ("g")."""

    role: Role
    network: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    terms: dict[str, Term] = field(default_factory=dict)
    """Name in the log -> term."""
    updates: int = 0
    """Optimiser steps taken so far."""

    def due(self) -> dict[str, Term]:
        """The terms that apply in the next update."""
        return {name: term for name, term in self.terms.items() if self.updates % term.every == 0}


def terms_of(role: Role, terms: Iterable[Term]) -> dict[str, Term]:
    """The player's terms by name; a second one of the same type is called `r1_2`."""
    named: dict[str, Term] = {}
    for term in terms:
        if role in term.players:
            same = sum(other.type == term.type for other in named.values())
            named[term.type if not same else f"{term.type}_{same + 1}"] = term
    return named
