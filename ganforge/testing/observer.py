"""An observer of a run under test, which keeps only what the run says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ganforge.engine.observer import Row
from ganforge.engine.sampling.grids import Grid


class Silent:
    """Prints and writes nothing."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def row(self, row: Row) -> None:
        pass

    def tick(self, images_seen: int) -> None:
        pass

    def grid(self, images_seen: int, grid: Grid) -> None:
        pass

    def say(self, line: str) -> None:
        self.lines.append(line)

    def event(self, event: Mapping[str, Any]) -> None:
        pass

    def cut(self, images_seen: int) -> None:
        pass
