"""An observer that records nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ganforge.engine.sampling.grids import Grid


class Silent:
    """Passes lines for the user to `say`."""

    def __init__(self, say: Callable[[str], None] = lambda line: None) -> None:
        self.say = say

    def row(self, row: Mapping[str, float | int]) -> None: ...

    def tick(self, images_seen: int) -> None: ...

    def grid(self, images_seen: int, grid: Grid) -> None: ...

    def event(self, event: Mapping[str, Any]) -> None: ...

    def cut(self, images_seen: int) -> None: ...
