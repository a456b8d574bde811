"""An update of each player that leaves no trace."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ganforge.engine.data.batches import Batch
from ganforge.engine.instruments.frozen_buffers import kept_buffers
from ganforge.engine.update.game import Game
from ganforge.engine.update.measures import Measures
from ganforge.engine.update.player import Player

ROUNDS = 2
"""What the first one leaves behind, such as tensors that lie otherwise in memory, the second one meets."""


def rehearse(game: Game, batch: Batch) -> None:
    """Forward and backward passes of both players' updates on `batch`, with all their terms, and nothing
    after them. Whether they come to their end or raise what the real ones would, the game is afterwards as
    it was. What is due at the first update is due here: every term."""
    with _undone(game):
        double = _Double(game)
        for _ in range(ROUNDS):
            for role in ("d", "g"):
                double.players[role].updates = 0
                double.update(role, batch)


class _Double(Game):
    """Plays with the players of another game, but never takes a step, and logs into the void.

    It plays alone: a process whose rehearsal fails must not leave the others waiting for it.
    """

    def __init__(self, game: Game) -> None:
        self.__dict__.update(game.__dict__)
        self.runtime = copy.copy(game.runtime)
        self.runtime.world = 1
        self.measures = Measures(game.live, game.runtime.device, watched=False)
        self.kept = []

    def _step(self, me: Player, measure: bool) -> None:
        pass


@contextmanager
def _undone(game: Game) -> Iterator[None]:
    players = game.players.values()
    device = game.runtime.device
    updates = [player.updates for player in players]
    flags = [[parameter.requires_grad for parameter in player.parameters] for player in players]
    with (
        kept_buffers(player.network for player in players),
        game.live.kept(),
        torch.random.fork_rng(devices=[device] if device.type == "cuda" else []),
    ):
        try:
            yield
        finally:
            for player, count, before in zip(players, updates, flags, strict=True):
                player.updates = count
                for parameter, flag in zip(player.parameters, before, strict=True):
                    parameter.requires_grad_(flag).grad = None
