"""The run's health policy: measures, asks the sentinel, and decides what has to happen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ganforge.api import Role, Samples
from ganforge.config import Health
from ganforge.engine.health.diversity import Diversity
from ganforge.engine.health.sentinel import Finding, Sentinel
from ganforge.engine.instruments.health_signals import all_finite, bad_layer
from ganforge.engine.random import stream_seed
from ganforge.engine.update.game import Game

MEASURABLE = 2
"""Minimum number of samples for distances."""


class Guard:
    """Connects the sentinel to a run, and remembers the run's rollbacks."""

    def __init__(self, config: Health, game: Game, samples: Samples, seed: int) -> None:
        self.config = config
        self.game = game
        self.seed = seed
        self.sentinel = Sentinel(config.patience, config.grace, config.ignore)
        self.rollbacks = 0
        self.lr: dict[Role, float] = {"d": 1.0, "g": 1.0}
        """Factor on each player's learning rate, from its faults so far."""
        self.healthy_at: int | None = None
        """Images seen at the last healthy checkpoint."""
        self._diversity: Diversity | None = None
        count = min(config.samples, len(samples))
        if self.on and game.runtime.is_main and count >= MEASURABLE:
            self._diversity = Diversity(samples, game.prior, count, seed, game.runtime.device)

    @property
    def on(self) -> bool:
        return self.config.policy != "off"

    @property
    def acts(self) -> bool:
        """A finding has consequences."""
        return self.config.policy in ("stop", "rollback")

    @property
    def may_go_back(self) -> bool:
        return self.config.policy == "rollback" and self.rollbacks < self.config.rollbacks

    def signals(self, means: Mapping[str, float], updates: int) -> dict[str, float]:
        """Columns of the row in addition to the running `means`; `updates` per iteration. Synchronizes
        the device."""
        found: dict[str, float] = {}
        if self.on and self._diversity is not None:
            found |= self._diversity.measure(self.game.players["g"].network)
        for role, player in self.game.players.items():
            if self.on and player.scaler.is_enabled():
                found[f"health/scale_{role}"] = player.scaler.get_scale()
        if self.game.first_bad is not None and not all(map(math.isfinite, means.values())):
            for name, update in self.game.first_bad.read().items():
                found[f"health/first_bad/{name}"] = update / updates
            for role, player in self.game.players.items():
                layer = bad_layer(player.network)
                if layer is not None:
                    found[f"health/bad_layer/{role}/{layer}"] = 1
        return found

    def forget_if_well(self, means: Mapping[str, float]) -> None:
        """In every process: if the running `means` are finite, so was each update since the last row."""
        if self.game.first_bad is not None and all(map(math.isfinite, means.values())):
            self.game.first_bad.all_well()

    def look(self, row: Mapping[str, float | int]) -> list[Finding]:
        """Findings that are new in this row."""
        return self.sentinel.look(row) if self.on else []

    def at_fault(self) -> list[Role]:
        """The players at fault in the active findings."""
        return sorted({role for finding in self.sentinel.active.values() for role in finding.players})

    def blame(self) -> str:
        """The active findings, in one line."""
        return "; ".join(finding.line() for finding in self.sentinel.active.values())

    def mark(self, images_seen: int) -> None:
        """Records whether the run is healthy, now that a checkpoint is written."""
        networks = [player.network for player in self.game.players.values()]
        tensors = [tensor for network in networks for tensor in network.state_dict().values()]
        if self.sentinel.calm and all_finite(tensors):
            self.healthy_at = images_seen

    def go_back(self, at_fault: list[Role], rollbacks: int, lr: Mapping[Role, float]) -> None:
        """After an older state was restored: the run had made `rollbacks` and had `lr` before."""
        self.rollbacks = rollbacks + 1
        self.lr = {role: lr[role] * (self.config.lr_factor if role in at_fault else 1.0) for role in lr}

    @property
    def stream(self) -> int:
        """The seed of updates and data order: a new one after each rollback."""
        return stream_seed(self.seed, "rollback", self.rollbacks) if self.rollbacks else self.seed

    def state(self) -> dict[str, Any]:
        """As plain data."""
        first_bad = self.game.first_bad
        return {
            "rollbacks": self.rollbacks,
            "lr": dict(self.lr),
            "healthy_at": self.healthy_at,
            "sentinel": self.sentinel.state(),
            "first_bad": {} if first_bad is None else first_bad.read(),
        }

    def restore(self, state: Mapping[str, Any] | None) -> None:
        """Restores `state`; None from a checkpoint from before there was a guard."""
        if self.game.first_bad is not None:
            updates = sum(player.updates for player in self.game.players.values())
            self.game.first_bad.restore(updates, {} if state is None else state["first_bad"])
        if state is not None:
            self.rollbacks, self.lr = state["rollbacks"], dict(state["lr"])
            self.healthy_at = state["healthy_at"]
            self.sentinel.restore(state["sentinel"])
