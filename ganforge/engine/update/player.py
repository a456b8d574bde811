"""One side of the game: a network, its optimiser, and what it minimises besides the loss."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

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
    faster: AbstractContextManager[Any] = field(default_factory=nullcontext)
    """In it, the network itself calculates faster than by torch's operations alone."""
    form: Callable[..., Any] = field(init=False)
    """What `forward` calls: the network itself, or a faster form of it."""
    parameters: list[nn.Parameter] = field(init=False)
    """The network's, listed once: to walk through its modules takes longer than a small layer."""

    def __post_init__(self) -> None:
        self.form = self.network
        self.parameters = list(self.network.parameters())

    def forward(self, *inputs: Any) -> Any:
        """The network's forward pass as the run does it."""
        if self.form is not self.network:
            return self.form(*inputs)
        with self.faster:
            return self.network(*inputs)

    def learn(self, learns: bool) -> None:
        """Whether a backward pass reaches the weights; a frozen rival costs none."""
        for parameter in self.parameters:
            parameter.requires_grad_(learns)

    def forget_gradients(self) -> None:
        """As `Optimizer.zero_grad`, whose bookkeeping for profilers takes longer than the work."""
        for parameter in self.parameters:
            parameter.grad = None

    def due(self, ahead: int = 0) -> dict[str, Term]:
        """The terms that apply in the next update, or in the one `ahead` of it."""
        update = self.updates + ahead
        return {name: term for name, term in self.terms.items() if update % term.every == 0}


def terms_of(role: Role, terms: Iterable[Term]) -> dict[str, Term]:
    """The player's terms by name; a second one of the same type is called `r1_2`."""
    named: dict[str, Term] = {}
    for term in terms:
        if role in term.players:
            same = sum(other.type == term.type for other in named.values())
            named[term.type if not same else f"{term.type}_{same + 1}"] = term
    return named
