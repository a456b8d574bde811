"""The lock on a run folder: claimed first, then inspected, then written to, in this order.

Whoever inspects first and claims later may overwrite what another process wrote in between. Importable
without torch, so `UserError` is imported where it is raised.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ganforge.outputs.lock_holder import holder

if TYPE_CHECKING:
    from ganforge.api import UserError

ATTEMPTS = 20
"""Another process that fails to start removes its folder; then this one makes it again."""


@dataclass(frozen=True)
class Claim:
    """A folder that this process holds until `release`, or until it ends."""

    path: Path
    locked: bool
    """False on a file system without locks: another process may hold the folder, too."""
    made: tuple[Path, ...]
    """The folders that did not exist before, deepest first."""
    descriptor: int

    def release(self, failed: bool = False) -> None:
        """`failed`: no run was started here, so folders that were made and are empty are removed."""
        if failed:
            for folder in self.made:
                with contextlib.suppress(OSError):
                    folder.rmdir()
        os.close(self.descriptor)


@dataclass(frozen=True)
class Busy:
    """A folder that another process holds."""

    path: Path
    holder: str
    """That process, in words."""

    def error(self) -> UserError:
        return _user_error(
            f"run folder {self.path} is in use by another training process ({self.holder}); "
            "stop that one first"
        )


def take(path: Path) -> Claim | Busy:
    """Claims the folder, which is created if there is none.

    Raises `UserError` if `path` is no folder and cannot become one.
    """
    for _ in range(ATTEMPTS):
        made = tuple(folder for folder in (path, *path.parents) if not folder.exists())
        try:
            path.mkdir(parents=True, exist_ok=True)
        except FileNotFoundError:
            # A parent vanished between the two system calls.
            continue
        except OSError as error:
            if path.exists():
                raise _user_error(
                    f"{path} already exists and is not a run folder; choose another with --out"
                ) from None
            raise _user_error(
                f"cannot create run folder {path} in {path.absolute().parent}: {error.strerror}; "
                "choose another with --out"
            ) from error
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        locked = _lock(descriptor)
        if locked is None:
            busy = Busy(path, holder(descriptor))
            os.close(descriptor)
            return busy
        if _is_at(descriptor, path):
            return Claim(path, locked, made, descriptor)
        # The process that held it has removed it; a lock on what is left holds nobody off.
        os.close(descriptor)
    raise _user_error(f"run folder {path} is removed again and again by another process; try again")


@contextlib.contextmanager
def claimed(path: Path) -> Iterator[bool]:
    """Holds an existing folder; gives whether it is locked. Raises `UserError` if another process does."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        locked = _lock(descriptor)
        if locked is None:
            raise Busy(path, holder(descriptor)).error()
        yield locked
    finally:
        os.close(descriptor)


def without_locks(path: Path) -> str:
    """A warning where `locked` is false."""
    return (
        f"the file system of {path} has no locks, so nothing prevents a second training process in this "
        "run folder"
    )


def _lock(descriptor: int) -> bool | None:
    """True = locked, False = there are no locks here, None = another process holds it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return None
    except OSError:
        return False
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether the open folder is still the one at `path`."""
    try:
        there = path.stat()
    except OSError:
        return False
    here = os.fstat(descriptor)
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)


def _user_error(message: str) -> UserError:
    from ganforge.api import UserError

    return UserError(message)
