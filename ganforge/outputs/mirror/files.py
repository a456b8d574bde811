"""How the trainer and a mirror communicate: two small files in the mirror's folder.

mirror.json goes from the trainer to the mirror, status.json back. Neither contains an API key: a tracker
reads its own from the environment or from the user's files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from ganforge.outputs.atomic import write_json

REQUEST = "mirror.json"
STATUS = "status.json"
LOG = "mirror.log"
LOCK = "mirror.lock"


@dataclass(frozen=True)
class Request:
    """What the mirror is to do."""

    sink: str
    """`package.module:Class`"""
    settings: Mapping[str, Any]
    title: str
    run_id: str
    """The id of the run's first mirror, so that a resumed run is one run on the tracker, too."""
    name: str
    config: Mapping[str, Any] = field(default_factory=dict)
    rows_until: int = -1
    """Images seen at the last row that the run had when this session started."""
    asked: bool = True
    """Whether the user asked for it; otherwise nothing is printed."""

    def save(self, path: Path) -> None:
        write_json(path, asdict(self))

    @classmethod
    def load(cls, path: Path) -> Request:
        return cls(**json.loads(path.read_text(encoding="utf-8")))


@dataclass(frozen=True)
class Opening:
    """A `TrackedRun` (see ganforge.api)."""

    run_id: str
    name: str
    config: Mapping[str, Any]
    folder: Path
    resume: bool
    reason: str
    trainer: int


@dataclass
class MirrorStatus:
    """The mirror's state and progress."""

    pid: int = 0
    """Id of the mirror that wrote this; another id is left over from before a resume."""
    state: Literal["starting", "recording", "failed"] = "starting"
    place: str = ""
    """Where the record is."""
    by_hand: str = ""
    """The command that completes an interrupted upload."""
    reason: str = ""
    """Why it failed, in one line."""
    finished: bool = False
    images_seen: int = -1
    rows_there: int = 0
    """Number of rows at `images_seen` that are mirrored; all rows before it are."""
    pictures: dict[str, int] = field(default_factory=dict)
    """Name of a grid -> images seen of the newest one that is mirrored."""

    def save(self, path: Path) -> None:
        write_json(path, asdict(self))

    @classmethod
    def load(cls, path: Path) -> MirrorStatus:
        """The status in `path`; an empty one if there is none."""
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            known = {each.name for each in fields(cls)}
            status = cls(**{key: value for key, value in data.items() if key in known and value is not None})
            if "grid_images_seen" in data:
                # As written before there were other trackers than W&B.
                status.pictures = {"samples": int(data["grid_images_seen"])}
            return status
        except (OSError, ValueError, TypeError, AttributeError):
            return cls()
