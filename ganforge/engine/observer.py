"""Interface of whatever follows a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from ganforge.engine.sampling.grids import Grid

Row = Mapping[str, float | int]


class Observer(Protocol):
    """Follows the progress of a run; only in the main process."""

    def row(self, row: Row) -> None:
        """A row of the log."""

    def tick(self, images_seen: int) -> None:
        """An iteration is complete; must be cheap."""

    def grid(self, images_seen: int, grid: Grid) -> None:
        """Samples from fixed latents and conditions."""

    def say(self, line: str) -> None:
        """A line for the user."""

    def event(self, event: Mapping[str, Any]) -> None:
        """Something that happened to the run, as plain data with `event` and `images_seen`."""

    def cut(self, images_seen: int) -> None:
        """The run was rolled back to `images_seen`: the rows beyond are void."""
