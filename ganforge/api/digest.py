"""The SHA-256 of a file."""

from __future__ import annotations

import hashlib
from pathlib import Path


def file_sha256(file: Path) -> str:
    """64 hexadecimal digits. Raises `OSError` where the file cannot be read."""
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
