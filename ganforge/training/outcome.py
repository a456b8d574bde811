"""How a run, or a part of it, ended."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ganforge.engine.checkpoint import checkpoint
from ganforge.outputs.run_folder import RunFolder


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


def what_is_lost(run: RunFolder, images_seen: int) -> str:
    """A line for a run that was stopped after this many images without waiting for a checkpoint."""
    saved = [int(each.name) for each in checkpoint.complete(run.checkpoints)]
    at_once = f"stopped at once after {images_seen:,} images"
    if not saved:
        return f"{at_once}, before the first checkpoint: all of them are lost; 'ganforge run' starts again"
    lost = images_seen - saved[-1]
    return (
        f"{at_once}: the {lost:,} since the checkpoint at {saved[-1]:,} are lost; to continue:  "
        f"ganforge resume {shlex.quote(str(run.path))}"
    )
