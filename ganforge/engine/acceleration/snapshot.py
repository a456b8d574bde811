"""A snapshot of the part of a game's state that an update changes, to restore it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from ganforge.engine.update.game import Game

Copies = list[tuple[Tensor, Tensor]]
"""Tensors, and copies of their values."""


class Moment:
    """A copy of everything that an update of `game` changes. Restoring writes into the same tensors, so
    that holders of references, such as a recording, stay valid."""

    def __init__(self, game: Game) -> None:
        self.game = game
        self.weights = {role: _copies(player.parameters) for role, player in game.players.items()}
        self.rest = _copies(_rest(game))
        self.updates = {role: player.updates for role, player in game.players.items()}
        self.counts = dict(game.means.counts)
        watched = game.measures.first_bad
        self.noted = None if watched is None else watched.mark()

    @torch.no_grad()
    def restore(self) -> None:
        """Restores the state, also after an update that failed halfway."""
        for copies in (*self.weights.values(), self.rest):
            for tensor, value in copies:
                tensor.copy_(value)
        for role, player in self.game.players.items():
            player.updates = self.updates[role]
            player.forget_gradients()
        self.game.means.recount(self.counts)
        if self.game.measures.first_bad is not None and self.noted is not None:
            self.game.measures.first_bad.back_to(self.noted)
        self.game.kept.clear()

    def far_from(self, other: Moment, start: Moment) -> float:
        """Distance of a player's weights from those of `other`, relative to the distance of these from
        `start`; the maximum over players: 0 = equal, about 1 if they moved differently. Synchronizes the
        device."""
        shares = []
        for role, mine in self.weights.items():
            theirs = other.weights[role]
            shares.append(_distance(mine, theirs) / _distance(theirs, start.weights[role]).clamp_min(1e-30))
        return float(torch.stack(shares).max())


def _copies(tensors: Iterable[Tensor]) -> Copies:
    return [(tensor, tensor.detach().clone()) for tensor in tensors]


def _rest(game: Game) -> Iterable[Tensor]:
    for player in game.players.values():
        yield from player.network.buffers()
        for state in player.optimizer.state.values():
            yield from (value for value in state.values() if isinstance(value, Tensor))
    yield from game.live.memory.values()
    yield game.means.sums


def _distance(a: Copies, b: Copies) -> Tensor:
    """Euclidean."""
    apart = [mine - theirs for (_, mine), (_, theirs) in zip(a, b, strict=True)]
    distance: Tensor = torch.stack(list(torch._foreach_norm(apart))).norm()
    return distance
