"""A dry run: an update of each player without side effects."""

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
"""Twice: the first update changes state, such as memory formats, that the second one sees."""


def rehearse(game: Game, batch: Batch) -> None:
    """Runs both players' forward and backward passes on `batch`, with all terms, but no step. Whether
    they succeed or raise what the real ones would, the game's state is restored afterwards. As in the
    first update, every lazy term is applied."""
    with _undone(game), game.layers.alone():
        double = _Double(game)
        for _ in range(ROUNDS):
            for role in ("d", "g"):
                double.players[role].updates = 0
                double.update(role, batch)


class _Double(Game):
    """Plays with the players of another game, but never steps, and discards what it logs.

    It uses no collectives: a process whose dry run fails must not leave the others waiting.
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
