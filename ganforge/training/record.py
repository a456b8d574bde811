"""The local record of a run, written as the loop reports it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ganforge.engine.sampling.grids import Grid
from ganforge.outputs.events import append_event
from ganforge.outputs.grid import save_grid, save_plane
from ganforge.outputs.labels import Names
from ganforge.outputs.metrics_log import MetricsLog, truncate_after
from ganforge.outputs.progress import Progress
from ganforge.outputs.run_folder import RunFolder

TICK_S = 0.2
"""Shortest time between two redraws of the bar; a fast run has hundreds of iterations a second."""


class Record:
    """Writes what the loop reports; the local record first, then the displays."""

    def __init__(self, run: RunFolder, progress: Progress) -> None:
        self.run = run
        self.progress = progress
        self.log: MetricsLog | None = None
        self._ticked = 0.0

    def row(self, row: Mapping[str, float | int]) -> None:
        # Opened at the first row: opening repairs a partial last line, for which the run must be ours.
        self.log = self.log or MetricsLog(self.run.metrics)
        self.log.append(row)
        self.progress.update(int(row["images_seen"]), row)

    def grid(self, images_seen: int, grid: Grid) -> None:
        file = self.run.grid(images_seen, grid.name)
        file.parent.mkdir(parents=True, exist_ok=True)
        if grid.backdrop is not None:
            save_plane(grid.images, *grid.backdrop, file)
        else:
            save_grid(grid.images, file, grid.columns, Names(grid.across, grid.down))

    def tick(self, images_seen: int) -> None:
        now = time.monotonic()
        if now - self._ticked > TICK_S:
            self._ticked = now
            self.progress.update(images_seen, {})

    def say(self, line: str) -> None:
        self.progress.say(line)

    def event(self, event: Mapping[str, Any]) -> None:
        append_event(self.run.events, event)

    def cut(self, images_seen: int) -> None:
        truncate_after(self.run.metrics, images_seen)
