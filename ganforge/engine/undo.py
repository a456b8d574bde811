"""The state of a game at a moment, to put it back: what an update changes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from ganforge.engine.step import Game


class Moment:
    """A copy of all that an update of `game` changes. Putting it back writes into the same tensors,
    so that whoever holds on to them, such as a recording, still holds the right ones."""

    def __init__(self, game: Game) -> None:
        self.game = game
        players = game.players.values()
        self.weights = _copies(weight for player in players for weight in player.parameters)
        self.rest = _copies(_rest(game))
        self.updates = {role: player.updates for role, player in game.players.items()}
        self.counts = dict(game.tally.counts)
        watched = game.first_bad
        self.noted = None if watched is None else (watched.updates, list(watched.recent))

    @torch.no_grad()
    def restore(self) -> None:
        """Puts it back, also after an update that broke off halfway."""
        for tensor, value in (*self.weights, *self.rest):
            tensor.copy_(value)
        for role, player in self.game.players.items():
            player.updates = self.updates[role]
            player.forget_gradients()
        self.game.tally.recount(self.counts)
        if self.game.first_bad is not None and self.noted is not None:
            self.game.first_bad.updates, recent = self.noted
            self.game.first_bad.recent = list(recent)
        self.game.kept.clear()

    def far_from(self, other: Moment, start: Moment) -> float:
        """How far the weights are from those of `other`, as a share of how far these are from
        `start`: 0 = the same, and about 1 where they went another way. Waits for the device."""
        return float(_distance(self, other) / _distance(other, start).clamp_min(1e-30))


def _copies(tensors: Iterable[Tensor]) -> list[tuple[Tensor, Tensor]]:
    return [(tensor, tensor.detach().clone()) for tensor in tensors]


def _rest(game: Game) -> Iterable[Tensor]:
    for player in game.players.values():
        yield from player.network.buffers()
        for state in player.optimizer.state.values():
            yield from (value for value in state.values() if isinstance(value, Tensor))
    yield game.tally.sums


def _distance(a: Moment, b: Moment) -> Tensor:
    """Euclidean, over all weights."""
    apart = [mine - theirs for (_, mine), (_, theirs) in zip(a.weights, b.weights, strict=True)]
    distance: Tensor = torch.stack(list(torch._foreach_norm(apart))).norm()
    return distance
