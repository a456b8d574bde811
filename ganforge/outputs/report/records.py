"""What a report reads of a run folder. The folder may come from anyone: only regular files that lie in it are
read, up to a size, and odd values are reported instead of believed."""

from __future__ import annotations

import json
import os
import stat
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganforge.outputs.run_folder import RunFolder

if TYPE_CHECKING:
    from ganforge.api import UserError

MAX_TEXT = 256 << 20
"""Bytes of a record that are read at most."""
MAX_PICTURE = 64 << 20
MAX_SEEN = 2**53
"""Images; larger numbers are not exact in the page's script."""
MAX_DIGITS = 18
EVALUATIONS = "evaluations.jsonl"
RESTORE = "restore the file that 'ganforge run' wrote"


@dataclass(frozen=True)
class Record:
    """A run as recorded on disk."""

    run: RunFolder
    name: str
    config: Mapping[str, Any]
    config_text: str
    info: Mapping[str, Any]
    rows: list[dict[str, Any]]
    events: list[dict[str, Any]]
    evaluations: list[dict[str, Any]]
    notes: list[str] = field(default_factory=list)
    """What could not be read, in words."""

    @classmethod
    def read(cls, run: RunFolder, name: str) -> Record:
        """Raises `UserError` if config.toml or run.json cannot be read; anything else becomes a note."""
        notes: list[str] = []
        text = _text(run, run.config)
        try:
            config = tomllib.loads(text)
        except (ValueError, RecursionError) as error:
            raise _user_error(f"{run.config}: not TOML: {error}; {RESTORE}") from None
        try:
            info = json.loads(_text(run, run.info))
        except (ValueError, RecursionError) as error:
            raise _user_error(f"{run.info}: not JSON: {error}; {RESTORE}") from None
        if not isinstance(info, dict):
            raise _user_error(f"{run.info}: not a JSON object; {RESTORE}")
        rows = _lines(run, run.metrics, _is_row, notes)
        events = _lines(run, run.events, _is_event, notes)
        evaluations = _lines(run, run.path / EVALUATIONS, _is_evaluation, notes)
        return cls(run, name, config, text, info, rows, events, evaluations, notes)

    @property
    def images_seen(self) -> int:
        """A stop between two rows leaves a checkpoint and grids, but no row: the furthest of all counts."""
        seen = [row["images_seen"] for row in (*self.rows[-1:], *self.evaluations)]
        seen += [place for place, _ in self.grids()[-1:]]
        folder = self.run.checkpoints
        if within(self.run, folder) and folder.is_dir():
            seen += [int(each.name) for each in folder.iterdir() if _is_count(each.name) and each.is_dir()]
        return max(seen, default=0)

    def grids(self, name: str = "samples") -> list[tuple[int, Path]]:
        """(images seen, file) of the grids of this name, oldest first; regular files only."""
        folder = self.run.grid(0, name).parent
        if not within(self.run, folder) or not folder.is_dir():
            return []
        return sorted(
            (int(file.stem), file)
            for file in folder.iterdir()
            if file.suffix == ".png" and _is_count(file.stem) and is_regular(self.run, file)
        )

    def grid_names(self) -> list[str]:
        """Names of the grids: samples, conditions, then the codes."""
        folder = self.run.grids
        if not within(self.run, folder) or not folder.is_dir():
            return []
        names = sorted(each.name for each in folder.iterdir() if each.is_dir() and not each.is_symlink())
        return ["samples", *sorted(names, key=lambda name: (name != "conditions", name))]

    def table(self, key: str) -> Mapping[str, Any]:
        """A table of run.json; empty if it is absent or something else."""
        found = self.info.get(key)
        return found if isinstance(found, Mapping) else {}

    def section(self, key: str) -> Mapping[str, Any]:
        """A table of config.toml; empty if it is absent or something else."""
        found = self.config.get(key)
        return found if isinstance(found, Mapping) else {}

    def kind(self, section: str) -> str:
        """The type of the component in a section, "" if unknown."""
        return str(self.section(section).get("type", ""))

    def labels(self) -> Mapping[str, Any]:
        """The labels of the data as recorded in run.json."""
        labels = self.table("data_spec").get("labels")
        return labels if isinstance(labels, Mapping) else {}

    def label_names(self) -> list[str]:
        """The names of the labels, if they have any."""
        names = self.labels().get("names")
        return [str(name) for name in names] if isinstance(names, list) else []

    def shape(self) -> tuple[int, ...]:
        """The shape of one sample, () if unknown."""
        shape = self.table("data_spec").get("shape")
        whole = isinstance(shape, list) and all(isinstance(side, int) and side > 0 for side in shape)
        return tuple(shape) if whole and shape else ()


def within(run: RunFolder, path: Path) -> bool:
    """Whether no part of `path` below the run folder is a symbolic link."""
    try:
        parts = path.relative_to(run.path).parts
    except ValueError:
        return False
    place = run.path
    for part in parts:
        place = place / part
        if place.is_symlink():
            return False
    return ".." not in parts


def is_regular(run: RunFolder, path: Path) -> bool:
    """Whether it is a file in the run folder: no link, pipe or device."""
    try:
        return within(run, path) and stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def read_bytes(run: RunFolder, path: Path, most: int = MAX_PICTURE) -> bytes | None:
    """The content of a regular file in the run folder; None if it is missing, larger than `most`, or
    something else."""
    if not within(run, path):
        return None
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size > most:
            return None
        return file.read(most)


def _text(run: RunFolder, path: Path) -> str:
    data = read_bytes(run, path, MAX_TEXT)
    if data is None:
        raise _user_error(f"{path}: expected a regular file in the run folder; {RESTORE}")
    return data.decode("utf-8", errors="replace")


def _lines(run: RunFolder, path: Path, fits: Callable[[Any], bool], notes: list[str]) -> list[dict[str, Any]]:
    if not path.exists() and not path.is_symlink():
        return []
    data = read_bytes(run, path, MAX_TEXT)
    if data is None:
        notes.append(f"{path.name} is not a regular file in the run folder and was not read")
        return []
    # A partial last line is that of a process killed while writing.
    lines = [line for line in data[: data.rfind(b"\n") + 1].split(b"\n") if line]
    found = []
    for line in lines:
        try:
            row = json.loads(line, parse_int=_whole)
        except (ValueError, RecursionError):
            continue
        if fits(row):
            found.append(row)
    if len(found) < len(lines):
        notes.append(
            f"{len(lines) - len(found)} of {len(lines)} lines of {path.name} are damaged and left out"
        )
    return found


def _whole(digits: str) -> int | float:
    """An integer; of more digits than a float has room for, the float, which may be infinite."""
    return int(digits) if len(digits) <= MAX_DIGITS else float(digits)


def _is_row(row: Any) -> bool:
    seen = row.get("images_seen") if isinstance(row, dict) else None
    return isinstance(seen, int) and not isinstance(seen, bool) and 0 <= seen <= MAX_SEEN


def _is_event(row: Any) -> bool:
    return _is_row(row) and isinstance(row.get("event"), str)


def _is_evaluation(row: Any) -> bool:
    metrics = row.get("metrics") if _is_row(row) else None
    return isinstance(metrics, list) and all(
        isinstance(each, dict) and isinstance(each.get("values"), dict) for each in metrics
    )


def _is_count(name: str) -> bool:
    return name.isascii() and name.isdigit() and len(name) < 16


def _user_error(message: str) -> UserError:
    """Imported late, because its package imports torch."""
    from ganforge.api import UserError

    return UserError(message)
