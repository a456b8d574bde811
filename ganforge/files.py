"""Files of a run folder, which may come from a stranger: symbolic links out of it, pipes, devices, and
files without an end.

Importable without torch, so `UserError` is imported where it is raised.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ganforge.api.errors import UserError

MIB = 2**20
MAX_BYTES = {"config.toml": MIB, "run.json": 16 * MIB, "manifest.json": 16 * MIB, "best.json": MIB}
"""Bytes that a record of that name has at most: far more than ganforge writes."""
MAX_LOG_BYTES = 2**30
"""Bytes of a file with one JSON object per line."""
MAX_PICTURE_BYTES = 64 * MIB
"""Bytes of a grid or a plot."""

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def within(path: Path, root: Path) -> Path:
    """`path`, if following symbolic links does not lead out of `root`; it may not exist.

    Raises `UserError` if it does: to write, delete or lock there would change a file of somebody else.
    """
    real, inside = path.resolve(), root.resolve()
    if not real.is_relative_to(inside):
        raise _user_error(
            f"{path} is a symbolic link out of {root}, to {real}, where nothing is written or deleted; "
            "replace it with a file or folder of its own"
        )
    return path


def open_own(path: Path, flags: int) -> int:
    """`os.open` for writing, which fails with `ELOOP` if `path` is a symbolic link, and does not wait for the
    reader of a pipe."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)


def read_regular(path: Path, most: int | None = None) -> bytes:
    """The content of a regular file of at most `most` bytes, by default `MAX_BYTES` for its name.

    Raises `UserError` for a pipe, a device or a larger file, without reading it, and `OSError` as `open`.
    """
    limit = MAX_BYTES[path.name] if most is None else most
    # Without O_NONBLOCK, opening a pipe waits for a writer, forever if there is none.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        _refuse_irregular(path, found.st_mode)
        if found.st_size > limit:
            raise _user_error(f"{path}: has {found.st_size:,} bytes; expected at most {limit:,}")
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read(limit + 1)
    finally:
        os.close(descriptor)
    if len(content) > limit:
        raise _user_error(f"{path}: expected at most {limit:,} bytes")
    return content


def refuse_irregular(path: Path) -> None:
    """Raises `UserError` for a pipe, a device or a folder, and `OSError` if there is nothing."""
    _refuse_irregular(path, path.stat().st_mode)


def _refuse_irregular(path: Path, mode: int) -> None:
    if stat.S_ISREG(mode):
        return
    kind = next((name for is_kind, name in _KINDS if is_kind(mode)), "no file")
    raise _user_error(f"{path}: is {kind}; expected a regular file")


def _user_error(message: str) -> UserError:
    from ganforge.api.errors import UserError

    return UserError(message)
