"""How a run, or a stretch of it, ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Outcome:
    """What a process knows of its run when it has ended."""

    folder: Path
    finished: bool
    """All images seen; else stopped before."""
    images_seen: int
    stopped_by: str | None = None
    is_main: bool = True
    """This process speaks for the run; the others only end with it."""
    diagnosis: str | None = None
    """Why the policy of `[health]` ended the run; None where it did not."""
    healthy_at: int | None = None
    """Images seen at the last healthy checkpoint; None where there is none."""
    lines: Sequence[str] = field(default=())
    """What else the user should read."""
