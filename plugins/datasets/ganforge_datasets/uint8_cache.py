"""Images decoded once and kept on disk as one array of bytes, under a name made from their content.

An entry is `KEY.npy`, which is mapped into memory and not read, and `KEY.json`, which says what it holds.
Both are written to temporary files and renamed, so a reader sees a whole file or none, and two
processes that build the same entry at once only do the work twice. It is written piece by piece, as the
images are made, so that no more than a few pieces are ever in memory.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ganforge.api.cache import sweep, touch, trim

Bytes = NDArray[np.uint8]
Make = Callable[[], Iterable[Bytes]]
"""Makes the images of an entry [M, ...] in consecutive pieces [n, ...]."""
Finish = Callable[[], tuple[Path, dict[str, Any]]]
"""Called when an entry is made: its path, and what to record of it."""


def cached(
    folder: Path,
    key: str,
    shape: tuple[int, ...],
    holds: str,
    make: Make,
    say: Callable[[str], None],
    fresh: bool = False,
) -> Bytes:
    """The uint8 array of `shape` kept under `key` in `folder`, else (or if it is to be `fresh`) made by
    `make` and kept.

    A damaged entry is rebuilt; a folder that cannot be written costs one line and the cache, no more: the
    images are then held in memory, all of them. The array may be written to; that never reaches the file.
    `holds` describes the entry for people.
    """
    entry = folder / f"{key}.npy"
    if entry.exists() and not fresh:
        found = read_entry(entry, shape)
        if found is not None:
            touch(entry)
            return found
        say(f"data: {entry} is damaged; rebuilding it")
    return keep(entry, shape, make, lambda: (entry, {"holds": holds, "shape": list(shape)}), say)


def keep(
    place: Path,
    shape: tuple[int, ...],
    make: Make,
    finish: Finish,
    say: Callable[[str], None],
) -> Bytes:
    """The images of `make`, at most `shape[0]` of them, kept in the folder of `place` or, where that cannot
    be, in memory. `finish` is called when all are made; it gives the entry's path, and what to record.

    Unfinished files that builds in this folder have left are removed.
    """
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        sweep(place.parent)
        images, entry = _build(place, shape, make, finish)
        trim(place.parent, entry, say)
        return images
    # What could be kept may be lost with the disk, and is made anew: an error of `make` comes once more.
    except OSError as error:
        why = error.strerror or error
        say(f"data: could not keep the images in {place.parent} ({why}); going on without")
    return _in_memory(shape, make)


def cache_key(dataset: str, *parts: object) -> str:
    """The name of an entry of the data set `dataset`, made of all that decides its content."""
    return f"{dataset}-{hashlib.sha256(repr(parts).encode()).hexdigest()[:32]}"


def _build(place: Path, shape: tuple[int, ...], make: Make, finish: Finish) -> tuple[Bytes, Path]:
    """Writes the entry and maps it."""
    if shutil.disk_usage(place.parent).free < math.prod(shape):
        # At once, rather than after hours of decoding.
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with _written(place) as draft:
        file = draft.file
        _write_header(file, shape)
        done = 0
        for rows, piece in _placed(shape, make()):
            file.write(np.ascontiguousarray(piece).data)
            done = rows.stop
        # Some may have been left out. Headers are padded, so that the shorter one takes as much place.
        shape = (done, *shape[1:])
        file.seek(0)
        _write_header(file, shape)
        file.flush()
        # Before it is renamed: the folder may be emptied at any time, which a map outlives.
        images = read_entry(draft.path, shape)
        if images is None:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        entry, record = finish()
        draft.target = entry
        with _written(entry.with_suffix(".json")) as about:
            about.file.write(json.dumps(record).encode())
    return images, entry


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    head = {"descr": np.lib.format.dtype_to_descr(np.dtype(np.uint8)), "fortran_order": False}
    np.lib.format.write_array_header_1_0(file, {**head, "shape": shape})


def _in_memory(shape: tuple[int, ...], make: Make) -> Bytes:
    images, done = np.empty(shape, np.uint8), 0
    for rows, piece in _placed(shape, make()):
        images[rows] = piece
        done = rows.stop
    return images[:done]


def _placed(shape: tuple[int, ...], pieces: Iterable[Bytes]) -> Iterator[tuple[slice, Bytes]]:
    """Each piece with its rows in the whole, of `shape`."""
    done = 0
    for piece in pieces:
        assert piece.shape[1:] == shape[1:] and piece.dtype == np.uint8
        yield slice(done, done + len(piece)), piece
        done += len(piece)
    assert done <= shape[0]


def read_entry(entry: Path, shape: tuple[int, ...]) -> Bytes | None:
    """The entry's array, mapped copy-on-write; None where it is not what was written."""
    try:
        # Not np.load, which takes a damaged file for a zip or a pickle if it begins like one.
        images = np.lib.format.open_memmap(entry, mode="c")
        whole = entry.stat().st_size == images.offset + images.nbytes
    # A damaged header is Python source that fails in any way it likes.
    except Exception:
        return None
    return images if whole and images.dtype == np.uint8 and images.shape == shape else None


def record_of(entry: Path) -> dict[str, Any] | None:
    """What is recorded of an entry; None where that cannot be read."""
    try:
        record = json.loads(entry.with_suffix(".json").read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def write_record(entry: Path, record: dict[str, Any]) -> None:
    """Replaces what is recorded of an entry, where that is possible."""
    with contextlib.suppress(OSError), _written(entry.with_suffix(".json")) as draft:
        draft.file.write(json.dumps(record).encode())


@dataclass
class _Draft:
    file: BinaryIO
    path: Path
    """Where it lies until it is whole."""
    target: Path
    """Whose place it takes then."""


@contextlib.contextmanager
def _written(target: Path) -> Iterator[_Draft]:
    """A file to write to, which takes the place of `target`, or of another, when it is whole."""
    handle, name = tempfile.mkstemp(prefix=target.name, suffix=".tmp", dir=target.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            # Held while the writer lives, for `sweep`; not all file systems have locks.
            with contextlib.suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX)
            draft = _Draft(file, temporary, target)
            yield draft
            file.flush()
            os.fsync(file.fileno())
            temporary.replace(draft.target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
