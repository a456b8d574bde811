"""Files that are either the old ones or the new ones, never half of each."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write_bytes(path: Path, data: bytes) -> None:
    """Replaces `path` with `data` in one step. Raises `OSError` with `path` as its filename and
    leaves the old file as it was."""
    # A leading dot and another suffix: nothing that lists *.png or *.jsonl sees the half-made file.
    half = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with half.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        half.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            half.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from error


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Replaces `path` with `data` as indented JSON, in one step."""
    write_bytes(path, (json.dumps(data, indent=2, ensure_ascii=False) + "\n").encode())
