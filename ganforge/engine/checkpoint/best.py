"""The best value of one metric so far, for which a checkpoint is kept."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from ganforge.api import UserError
from ganforge.config import RunConfig


def refuse_impossible_best(config: RunConfig) -> None:
    """Raises `UserError` if a best checkpoint is requested without any metric."""
    if config.logging.keep_best and not config.metrics:
        raise UserError(
            f"logging.keep_best = '{config.logging.keep_best}' needs a metric, but the run file has none; "
            "add a [[metrics]] table"
        )


class Best:
    """Tracks the value called `metric`; an empty name is off."""

    def __init__(self, metric: str, best_is: Literal["highest", "lowest"]) -> None:
        self.metric = metric
        self.best_is = best_is
        self.value: float | None = None
        self.images_seen = -1
        """Images seen when it was measured; -1 = not yet."""
        self._told = False

    def update(self, values: Mapping[str, float], images_seen: int, everything: bool) -> list[str]:
        """Takes the metrics' values of one row; `everything`: no metric was left out. Returns a warning
        for the user: once, if no metric has a value of this name."""
        if not self.metric:
            return []
        if self.metric not in values:
            if self._told or not everything:
                return []
            self._told = True
            return [
                f"warning: logging.keep_best = '{self.metric}' is not a value of the run's metrics "
                f"({', '.join(values)}); no best checkpoint is kept"
            ]
        value = values[self.metric]
        if math.isfinite(value) and (self.value is None or self._better(value, self.value)):
            self.value, self.images_seen = value, images_seen
        return []

    def state(self) -> dict[str, Any] | None:
        """Content of `best.json`; None before the first value."""
        if self.value is None:
            return None
        found = {"metric": self.metric, "best_is": self.best_is, "value": self.value}
        return {**found, "images_seen": self.images_seen}

    def restore(self, state: Mapping[str, Any] | None) -> None:
        """Restores `state`, unless the run now tracks another value."""
        if state is not None and (state["metric"], state["best_is"]) == (self.metric, self.best_is):
            self.value, self.images_seen = state["value"], state["images_seen"]

    def _better(self, value: float, than: float) -> bool:
        return value > than if self.best_is == "highest" else value < than
