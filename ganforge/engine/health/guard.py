"""The run's health policy: measures, asks the sentinel, and decides what has to happen."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ganforge.api import Role, Samples
from ganforge.config import Health
from ganforge.engine.health.diversity import Diversity
from ganforge.engine.health.offender import offender
from ganforge.engine.health.sentinel import Finding, Sentinel
from ganforge.engine.instruments.health_signals import all_finite, bad_layer
from ganforge.engine.instruments.movement import Movement
from ganforge.engine.random import stream_seed
from ganforge.engine.rollback import PLAYERS, Findings, History
from ganforge.engine.update.game import Game

MEASURABLE = 2
"""Minimum number of samples for distances."""
ELSEWHERE = "the run is not healthy"
"""In processes other than the main one, which alone has the findings."""


class Guard:
    """Connects the sentinel to a run, and remembers the run's rollbacks."""

    def __init__(self, config: Health, game: Game, samples: Samples, seed: int) -> None:
        self.config = config
        self.game = game
        self.seed = seed
        self.sentinel = Sentinel(config.patience, config.grace, config.ignore)
        self.history = History()
        self.healthy_at: int | None = None
        """Images seen at the last healthy checkpoint."""
        self._movement = {role: Movement(player.network) for role, player in game.players.items()}
        self._diversity: Diversity | None = None
        count = min(config.samples, len(samples))
        if self.on and game.runtime.is_main and count >= MEASURABLE:
            live = game.live
            self._diversity = Diversity(
                samples, live.task, live.prior, live.nets, count, seed, game.runtime.device
            )

    @property
    def on(self) -> bool:
        return self.config.policy != "off"

    @property
    def acts(self) -> bool:
        """A finding has consequences."""
        return self.config.policy in ("stop", "rollback")

    def signals(self, means: Mapping[str, float], schedule: Sequence[Role]) -> dict[str, float]:
        """Columns of the row in addition to the running `means`; `schedule`: the roles of an iteration.
        Synchronizes the device."""
        found: dict[str, float] = {}
        if self.on and self._diversity is not None:
            found |= self._diversity.measure(self.game.players["g"].network)
        for role, player in self.game.players.items():
            moved = self._movement[role].measure() if self.on else None
            if moved is not None:
                found[f"health/moved_{role}"] = moved
            if self.on and player.scaler.is_enabled():
                found[f"health/scale_{role}"] = player.scaler.get_scale()
        if self.game.measures.first_bad is not None and not all(map(math.isfinite, means.values())):
            first_bad = self.game.measures.first_bad.read()
            for name, update in first_bad.items():
                found[f"health/first_bad/{name}"] = update / len(schedule)
            at_fault = offender(first_bad, schedule)
            if at_fault is not None:
                found[f"health/offender/{at_fault}"] = 1
            for role, player in self.game.players.items():
                layer = bad_layer(player.network)
                if layer is not None:
                    found[f"health/bad_layer/{role}/{layer}"] = 1
        return found

    def forget_if_well(self, means: Mapping[str, float]) -> None:
        """In every process: if the running `means` are finite, so was each update since the last row."""
        if self.game.measures.first_bad is not None and all(map(math.isfinite, means.values())):
            self.game.measures.first_bad.all_well()

    def inspect(self, row: Mapping[str, float | int]) -> list[Finding]:
        """Findings that are new in this row."""
        return self.sentinel.inspect(row) if self.on else []

    def findings(self, images_seen: int) -> Findings:
        """The active findings, the same in every process; none if the policy does not act on them."""
        runtime, active = self.game.runtime, self.sentinel.active.values()
        if not self.acts:
            return Findings((), "", images_seen)
        mine = {role for finding in active for role in finding.players} if runtime.is_main else set()
        players = tuple(role for role in PLAYERS if runtime.any(role in mine))
        return Findings(players, "; ".join(finding.line() for finding in active) or ELSEWHERE, images_seen)

    def lines(self) -> list[str]:
        """What is wrong with the run at the moment, for the user."""
        return [f"health: {finding.line()}" for finding in self.sentinel.active.values()]

    def mark(self, images_seen: int) -> None:
        """Records whether the run is healthy, now that a checkpoint is written."""
        networks = [player.network for player in self.game.players.values()]
        tensors = [tensor for network in networks for tensor in network.state_dict().values()]
        if self.sentinel.calm and all_finite(tensors):
            self.healthy_at = images_seen

    @property
    def stream(self) -> int:
        """The seed of updates and data order: a new one after each rollback."""
        rollbacks = self.history.rollbacks
        return stream_seed(self.seed, "rollback", rollbacks) if rollbacks else self.seed

    def state(self) -> dict[str, Any]:
        """As plain data."""
        first_bad = self.game.measures.first_bad
        return {
            **self.history.state(),
            "healthy_at": self.healthy_at,
            "sentinel": self.sentinel.state(),
            "first_weights": {role: movement.first for role, movement in self._movement.items()},
            "first_bad": {} if first_bad is None else first_bad.read(),
        }

    def restore(self, state: Mapping[str, Any] | None) -> None:
        """Restores `state`; None from a checkpoint from before there was a guard."""
        if self.game.measures.first_bad is not None:
            updates = sum(player.updates for player in self.game.players.values())
            self.game.measures.first_bad.restore(updates, {} if state is None else state["first_bad"])
        if state is not None:
            self.history = History.restored(state)
            self.healthy_at = state["healthy_at"]
            self.sentinel.restore(state["sentinel"])
            first = state.get("first_weights", {})
            for role, movement in self._movement.items():
                movement.restore(first, role)
