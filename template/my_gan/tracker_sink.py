"""What records, in a process of its own that does not import torch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ganforge.api import TrackedRun


class MySink:
    """Appends rows to a file."""

    purges = False
    by_hand = ""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.place = str(path)

    @classmethod
    def open(cls, settings: Mapping[str, Any], run: TrackedRun) -> MySink:
        return cls(run.folder / settings["file"])

    @classmethod
    def retreat(cls, settings: Mapping[str, Any]) -> Mapping[str, Any] | None:
        return None

    def rows(self, rows: Sequence[Mapping[str, Any]]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(dict(row)) + "\n" for row in rows)

    def image(self, name: str, images_seen: int, path: Path) -> None:
        pass

    def event(self, event: Mapping[str, Any]) -> None:
        pass

    def purge(self, images_seen: int) -> None:
        pass

    def close(self, ok: bool) -> None:
        pass
