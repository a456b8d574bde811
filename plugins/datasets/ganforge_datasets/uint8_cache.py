"""Images decoded once and kept on disk as one array of bytes, under a name made from their content.

An entry is `KEY.npy`, which is mapped into memory and not read, and `KEY.json`, which says what it holds.
Both are written beside their place and renamed into it, so a reader sees a whole file or none, and two
processes that build the same entry at once only do the work twice.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]


def cached(
    folder: Path,
    key: str,
    shape: tuple[int, ...],
    holds: str,
    make: Callable[[], Bytes],
    say: Callable[[str], None],
) -> Bytes:
    """The uint8 array of `shape` kept under `key` in `folder`, else made by `make` and kept.

    A damaged entry is made anew; a folder that cannot be written costs one line and the cache, no more.
    The array may be written to; that never reaches the file. `holds` is for people who look into the folder.
    """
    entry = folder / f"{key}.npy"
    if entry.exists():
        found = _read(entry, shape)
        if found is not None:
            return found
        say(f"data: {entry} is damaged; making it anew")
    images = make()
    assert images.shape == shape and images.dtype == np.uint8
    about = {"holds": holds, "shape": list(shape)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(entry.with_suffix(".json"), lambda file: file.write(json.dumps(about).encode()))
        _write(entry, lambda file: np.save(file, images, allow_pickle=False))
    except OSError as error:
        say(f"data: could not keep the images in {folder} ({error.strerror or error}); going on without")
    return images


def cache_key(data: str, *parts: object) -> str:
    """The name of an entry of the data set `data`, made of all that decides its content."""
    return f"{data}-{hashlib.sha256(repr(parts).encode()).hexdigest()[:32]}"


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


def _write(path: Path, fill: Callable[[BinaryIO], object]) -> None:
    """Writes a file whole or not at all."""
    handle, temporary = tempfile.mkstemp(prefix=path.name, suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
