"""Images decoded once and kept on disk as one array of bytes, under a name made from their content.

An entry is `KEY.npy`, which is mapped into memory and not read, and `KEY.json`, which says what it holds.
Both are written beside their place and renamed into it, so a reader sees a whole file or none, and two
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
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Make = Callable[[], Iterable[Bytes]]
"""Makes the images of an entry [M, ...] in consecutive pieces [n, ...]."""


def cached(
    folder: Path,
    key: str,
    shape: tuple[int, ...],
    holds: str,
    make: Make,
    say: Callable[[str], None],
) -> Bytes:
    """The uint8 array of `shape` kept under `key` in `folder`, else made by `make` and kept.

    A damaged entry is made anew; a folder that cannot be written costs one line and the cache, no more: the
    images are then held in memory, all of them. The array may be written to; that never reaches the file.
    `holds` is for people who look into the folder.
    """
    entry = folder / f"{key}.npy"
    if entry.exists():
        found = _read(entry, shape)
        if found is not None:
            return found
        say(f"data: {entry} is damaged; making it anew")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(entry)
        return _build(entry, shape, holds, make)
    # What could be kept may be lost with the disk, and is made anew: an error of `make` comes once more.
    except OSError as error:
        say(f"data: could not keep the images in {folder} ({error.strerror or error}); going on without")
    return _in_memory(shape, make)


def cache_key(data: str, *parts: object) -> str:
    """The name of an entry of the data set `data`, made of all that decides its content."""
    return f"{data}-{hashlib.sha256(repr(parts).encode()).hexdigest()[:32]}"


def _build(entry: Path, shape: tuple[int, ...], holds: str, make: Make) -> Bytes:
    """Writes the entry and maps it."""
    if shutil.disk_usage(entry.parent).free < math.prod(shape):
        # At once, rather than after hours of decoding.
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with _written(entry) as (file, temporary):
        head = {"descr": np.lib.format.dtype_to_descr(np.dtype(np.uint8)), "fortran_order": False}
        np.lib.format.write_array_header_1_0(file, {**head, "shape": shape})
        for _, piece in _placed(shape, make()):
            file.write(np.ascontiguousarray(piece).data)
        file.flush()
        # Before it is renamed: the folder may be emptied at any time, which a map outlives.
        images = _read(temporary, shape)
        if images is None:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        with _written(entry.with_suffix(".json")) as (about, _):
            about.write(json.dumps({"holds": holds, "shape": list(shape)}).encode())
    return images


def _in_memory(shape: tuple[int, ...], make: Make) -> Bytes:
    images = np.empty(shape, np.uint8)
    for rows, piece in _placed(shape, make()):
        images[rows] = piece
    return images


def _placed(shape: tuple[int, ...], pieces: Iterable[Bytes]) -> Iterator[tuple[slice, Bytes]]:
    """Each piece with its rows in the whole, of `shape`."""
    done = 0
    for piece in pieces:
        assert piece.shape[1:] == shape[1:] and piece.dtype == np.uint8
        yield slice(done, done + len(piece)), piece
        done += len(piece)
    assert done == shape[0]


def _read(entry: Path, shape: tuple[int, ...]) -> Bytes | None:
    """The entry's array, mapped copy-on-write; None where it is not what was written."""
    try:
        # Not np.load, which takes a damaged file for a zip or a pickle if it begins like one.
        images = np.lib.format.open_memmap(entry, mode="c")
        whole = entry.stat().st_size == images.offset + images.nbytes
    # A damaged header is Python source that fails in any way it likes.
    except Exception:
        return None
    return images if whole and images.dtype == np.uint8 and images.shape == shape else None


@contextlib.contextmanager
def _written(path: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """A file to write to, and where it lies until it is whole; then it takes the place of `path`."""
    handle, name = tempfile.mkstemp(prefix=path.name, suffix=".tmp", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            # Held while the writer lives, for `_sweep`; not all file systems have locks.
            with contextlib.suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX)
            yield file, temporary
            file.flush()
            os.fsync(file.fileno())
            temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _sweep(entry: Path) -> None:
    """Removes what builds of this entry have left that were killed: written to, and locked by nobody."""
    for left in entry.parent.glob(f"{entry.name}*.tmp"):
        with contextlib.suppress(OSError), left.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # An empty one may be about to be locked.
            if os.fstat(file.fileno()).st_size:
                left.unlink()
