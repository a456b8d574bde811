"""How a run, or a part of it, ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Outcome:
    """The result of a run in one process."""

    folder: Path
    finished: bool
    """All images seen; otherwise it stopped before."""
    images_seen: int
    stopped_by: str | None = None
    is_main: bool = True
    """Whether this is the main process, which reports."""
    diagnosis: str | None = None
    """Why `health.policy` ended the run; None if it did not."""
    healthy_at: int | None = None
    """Images seen at the last healthy checkpoint; None if there is none."""
    lines: Sequence[str] = field(default=())
    """Other messages for the user."""
