"""Atomic file writes: a reader sees the old file or the new one, never half of each."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ganforge.files import open_own


def write_bytes(path: Path, content: bytes) -> None:
    """Replaces `path` with `content` atomically. Raises `OSError` with `path` as its filename and
    leaves the old file unchanged."""
    if not path.name:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    # A leading dot and another suffix: nothing that lists *.png or *.jsonl sees the partial file.
    half = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        # A leftover of that name may be a symbolic link, which must not be written through.
        half.unlink(missing_ok=True)
        with open(open_own(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        half.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            half.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from error


def write_json(path: Path, tables: Mapping[str, Any]) -> None:
    """Replaces `path` with `tables` as indented JSON, atomically."""
    text = json.dumps(tables, indent=2, ensure_ascii=False) + "\n"
    # Half of a surrogate pair has no UTF-8; what takes its place is JSON's own escape.
    write_bytes(path, text.encode(errors="backslashreplace"))
