"""metrics.jsonl: the record of a run; curves, report and comparisons are made from it.

One JSON object per line, in chronological order. A process killed while writing leaves at most one
partial line, at the end, which readers skip.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganforge.files import MAX_LOG_BYTES, open_own, read_regular
from ganforge.outputs.atomic import write_bytes

if TYPE_CHECKING:
    from ganforge.api import UserError

Row = Mapping[str, Any]

NUMBERS = ("iteration", "images_per_second", "seconds", "peak_memory_mib")
"""Keys without a group that hold numbers."""


class MetricsLog:
    """Appends rows to `path`. A partial last line left by a killed process is cut off first;
    otherwise the next row would be glued to it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.is_file() and path.stat().st_size:
            data = read_regular(path, MAX_LOG_BYTES)
            whole = data.rfind(b"\n") + 1
            if whole < len(data):
                file = open_own(path, os.O_WRONLY)
                try:
                    os.ftruncate(file, whole)
                finally:
                    os.close(file)

    def append(self, row: Row) -> None:
        """Appends one row as one line, or nothing at all.

        JSON has no NaN or infinity: such values are stored as null, and their keys are listed
        under `nonfinite`. Raises `OSError` with the path as its filename, for example on a full disk.
        """
        assert "images_seen" in row
        line = encoded(row)
        try:
            file = open_own(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            try:
                _write(file, line)
            finally:
                os.close(file)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self.path)) from error


def _write(file: int, line: bytes) -> None:
    """Normally a single write. A disk that fills up accepts a part first and fails on the second
    write; the part is then truncated away."""
    before = os.fstat(file).st_size
    try:
        while line:
            line = line[os.write(file, line) :]
    except OSError:
        with contextlib.suppress(OSError):
            os.ftruncate(file, before)
        raise


def encoded(row: Row) -> bytes:
    """A row as a line of the file."""
    return (json.dumps(_finite(row), allow_nan=False) + "\n").encode()


def _finite(row: Row) -> dict[str, Any]:
    lost = [key for key, value in row.items() if isinstance(value, float) and not math.isfinite(value)]
    stored = {key: None if key in lost else value for key, value in row.items()}
    return stored | {"nonfinite": lost} if lost else stored


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows in order; empty if the file is missing. Raises `UserError` for a damaged line other
    than a partial last one, and for a row that cannot be one."""
    rows = read_records(path)
    for number, row in enumerate(rows, start=1):
        wrong = _wrong(row)
        if wrong is not None:
            raise _user_error(f"{path}:{number}: {wrong}; remove the line and try again")
    return rows


def read_records(path: Path) -> list[Any]:
    """What the lines of the file hold, of any type; otherwise as `read_rows`."""
    return [json.loads(line) for line in _lines(path)]


def _wrong(row: Any) -> str | None:
    """What cannot be so in a row of metrics or an event; None if it can be one."""
    if not isinstance(row, dict):
        return "expected a row of metrics"
    seen = row.get("images_seen")
    if type(seen) is not int or seen < 0:
        return f"'images_seen' is {_shown(seen)}; expected an integer of at least 0"
    for key, value in row.items():
        if ("/" in key or key in NUMBERS) and not (value is None or isinstance(value, int | float)):
            return f"'{key}' is {_shown(value)}; expected a number"
    lost = row.get("nonfinite", [])
    if not (isinstance(lost, list) and all(isinstance(key, str) for key in lost)):
        return f"'nonfinite' is {_shown(lost)}; expected a list of names"
    return None


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _user_error(message: str) -> UserError:
    from ganforge.api import UserError

    return UserError(message)


def read_new_rows(path: Path, offset: int) -> tuple[list[dict[str, Any]], int]:
    """The complete rows after byte `offset`, and the offset to continue from."""
    if not path.is_file():
        return [], offset
    with path.open("rb") as file:
        file.seek(offset)
        data = file.read()
    whole = data.rfind(b"\n") + 1
    return [json.loads(line) for line in data[:whole].splitlines()], offset + whole


def truncate_after(path: Path, images_seen: int, owes_metrics: bool = False) -> None:
    """Atomically drops the rows that a resumed run will write again: those beyond `images_seen`, and
    with `owes_metrics` the metric rows at it."""

    def is_kept(line: bytes) -> bool:
        row = json.loads(line)
        owed = owes_metrics and any(key.startswith("metric/") for key in row)
        return bool(row["images_seen"] < images_seen or (row["images_seen"] == images_seen and not owed))

    if path.is_file():
        write_bytes(path, b"".join(line + b"\n" for line in _lines(path) if is_kept(line)))


def _lines(path: Path) -> list[bytes]:
    """The lines that hold a row, validated."""
    if not path.is_file():
        return []
    lines = read_regular(path, MAX_LOG_BYTES).split(b"\n")
    for number, line in enumerate(lines, start=1):
        try:
            if line:
                json.loads(line)
        except (ValueError, RecursionError) as error:
            if number == len(lines):
                return lines[:-1]
            raise _user_error(
                f"{path}:{number}: expected a JSON object on this line; remove the line and try again"
            ) from error
    return [line for line in lines if line]
