"""The user's folder of decoded data and exported generators: what lies in it, and how it is kept from growing
without end.

An entry is `KEY.npy` (data) or `KEY.page` (a generator), with a record `KEY.json` that says what it holds.
The time of the record is that of the entry's last use. Anything in the folder may be deleted at any time.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

LIMIT_VARIABLE = "GANFORGE_CACHE_GIB"
"""The environment variable with the most GiB that the folder may hold."""
LIMIT_GIB = 64.0
SUFFIXES = (".npy", ".page")
MAX_EMPTY_S = 60.0


@dataclass(frozen=True)
class Entry:
    """One entry of the cache."""

    key: str
    path: Path
    bytes: int
    used: float
    """When it was last used, in seconds since 1970."""
    holds: str
    """What it holds, in words; empty where its record is missing."""

    def remove(self) -> None:
        for path in (self.path, self.path.with_suffix(".json")):
            with contextlib.suppress(FileNotFoundError):
                path.unlink()


def entries(folder: Path) -> list[Entry]:
    """The entries in `folder`, the one used last first; none where there is no such folder."""
    found = []
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        for path in folder.iterdir():
            if path.suffix in SUFFIXES:
                with contextlib.suppress(OSError):
                    found.append(_entry(path))
    return sorted(found, key=lambda entry: (-entry.used, entry.key))


def touch(path: Path) -> None:
    """Notes that the entry at `path` is in use now, and removes what killed builds have left."""
    with contextlib.suppress(OSError):
        os.utime(path.with_suffix(".json"))
    sweep(path.parent)


def sweep(folder: Path) -> None:
    """Removes the temporary files of builds that were killed: locked by nobody."""
    for left in folder.glob("*.tmp"):
        with contextlib.suppress(OSError), left.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            state = os.fstat(file.fileno())
            # An empty one may be about to be locked.
            if state.st_size or time.time() - state.st_mtime > MAX_EMPTY_S:
                left.unlink()


def limit() -> float:
    """The most bytes that the folder may hold; a variable that is no positive number counts for nothing."""
    try:
        wished = float(os.environ.get(LIMIT_VARIABLE, LIMIT_GIB))
    except ValueError:
        wished = LIMIT_GIB
    return (wished if wished > 0 else LIMIT_GIB) * 2**30


def trim(folder: Path, keep: Path, say: Callable[[str], None]) -> None:
    """Removes the entries used longest ago until the others fit in `limit`; never the one at `keep`."""
    most, total = limit(), 0
    for entry in sorted(entries(folder), key=lambda entry: entry.path != keep):
        total += entry.bytes
        if total > most and entry.path != keep:
            with contextlib.suppress(OSError):
                entry.remove()
                total -= entry.bytes
                size = f"{entry.bytes / 2**30:.1f} GiB"
                say(
                    f"data: dropped {entry.holds or entry.key} from the cache ({size}), "
                    f"which holds at most {most / 2**30:g} GiB ({LIMIT_VARIABLE})"
                )


def _entry(path: Path) -> Entry:
    state = path.stat()
    record, used, holds = path.with_suffix(".json"), state.st_mtime, ""
    with contextlib.suppress(OSError, ValueError, AttributeError, RecursionError):
        used = record.stat().st_mtime
        holds = str(json.loads(record.read_text("utf-8")).get("holds", ""))
    return Entry(path.stem, path, state.st_size, used, holds)
