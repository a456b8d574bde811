"""The runs below a folder, and how each of them stands, read from their records alone."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ganforge.outputs.lock_holder import UNLISTED, holder
from ganforge.outputs.metrics_log import read_rows
from ganforge.outputs.run_folder import RunFolder

State = Literal["running", "finished", "stopped", "failed", "unreadable"]
DEEPEST = 3
"""Levels of folders below the given one in which runs are found."""
ENDED = ("stop", "gave up")
"""Events of a run that its health policy ended."""


@dataclass(frozen=True)
class RunSummary:
    """One run."""

    path: Path
    state: State
    """running = a process of this machine holds the folder; finished = it saw all its images; failed = its
    health policy ended it, or it never reached a checkpoint; stopped = it can be resumed; unreadable = see
    `trouble`."""
    images_seen: int = 0
    images: int = 0
    """Length of the run; 0 if it is not known."""
    metric: str = ""
    """Name of the metric in `value`: that of logging.keep_best, otherwise the first one."""
    value: float | None = None
    """Its best value so far; None if no metric was computed."""
    age_s: float = 0.0
    """Seconds since the last row."""
    started: str = ""
    trouble: str = ""

    def as_json(self) -> dict[str, Any]:
        return {**vars(self), "path": str(self.path)}


def run_list(folder: Path) -> list[RunSummary]:
    """The runs in `folder`, the one with the newest row first; `folder` may be a run itself.

    Raises `UserError` if it is not a folder.
    """
    if not folder.is_dir():
        from ganforge.api import UserError

        raise UserError(f"{folder}: there is no such folder; pass one with runs, such as runs")
    return sorted((_summary(RunFolder(path)) for path in _runs(folder, DEEPEST)), key=lambda run: run.age_s)


def _runs(folder: Path, levels: int) -> Iterator[Path]:
    """Folders with a config.toml and a run.json; nothing within a run is one."""
    run = RunFolder(folder)
    if run.config.is_file() and run.info.is_file():
        yield folder
        return
    if levels == 0:
        return
    with contextlib.suppress(OSError):
        for each in sorted(folder.iterdir()):
            if each.is_dir() and not each.is_symlink() and not each.name.startswith("."):
                yield from _runs(each, levels - 1)


def _summary(run: RunFolder) -> RunSummary:
    # Damage of any kind belongs in the list, not in its way.
    try:
        config, info, rows = run.read_config(), run.read_info(), read_rows(run.metrics)
        events = read_rows(run.events)
    except Exception as error:
        return RunSummary(run.path, "unreadable", age_s=_age(run), trouble=str(error).splitlines()[0])
    train, logging = config.get("train", {}), config.get("logging", {})
    images = train.get("images", 0) if isinstance(train, dict) else 0
    images = images if isinstance(images, int) else 0
    seen = max((row["images_seen"] for row in rows), default=0)
    if _in_use(run.path):
        state: State = "running"
    elif images and seen >= images:
        state = "finished"
    elif not run.has_saved() or any(event.get("event") in ENDED for event in events[-1:]):
        state = "failed"
    else:
        state = "stopped"
    name, value = _best(rows, logging if isinstance(logging, dict) else {})
    return RunSummary(
        run.path, state, seen, int(images), name, value, _age(run), str(info.get("started", ""))
    )


def _best(rows: list[dict[str, Any]], logging: Mapping[str, Any]) -> tuple[str, float | None]:
    """The metric to show, and its best value."""
    named = [key for row in rows for key in row if key.startswith("metric/")]
    wished = f"metric/{logging.get('keep_best', '')}"
    key = wished if wished in named else next(iter(named), "")
    values = [row[key] for row in rows if isinstance(row.get(key), int | float)]
    if not values:
        return "", None
    if key != wished:
        # Which direction is better is not recorded for it.
        return key.removeprefix("metric/"), float(values[-1])
    best = min(values) if logging.get("best_is") == "lowest" else max(values)
    return key.removeprefix("metric/"), float(best)


def _age(run: RunFolder) -> float:
    """Seconds since the record changed."""
    for file in (run.metrics, run.info, run.path):
        with contextlib.suppress(OSError):
            return max(0.0, time.time() - file.stat().st_mtime)
    return 0.0


def _in_use(path: Path) -> bool:
    """Whether a process of this machine holds the lock on the folder. To try the lock would keep a process
    that starts at this moment from taking it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return holder(descriptor) != UNLISTED
    finally:
        os.close(descriptor)


def ago(seconds: float) -> str:
    """`12s`, `5m`, `3h`, `8d`."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= length:
            return f"{int(seconds // length)}{unit}"
    return f"{int(seconds)}s"
