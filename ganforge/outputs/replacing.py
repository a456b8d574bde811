"""Making room in a claimed run folder: for a run that never saved anything, or by moving a run aside."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ganforge.outputs.run_folder import RunFolder, is_half_made, remove

if TYPE_CHECKING:
    from ganforge.api import UserError

ASIDE = ".replaced.tmp"
"""The folder, within the run folder, that holds the old run until the new one has started."""


def clear_unsaved(run: RunFolder, locked: bool) -> bool:
    """Empties the folder of a run that was killed before its first checkpoint, and returns whether it was
    one; leaves any other alone. `locked`: the claim on the folder holds other processes off."""
    if not locked or run.has_saved() or run.foreign():
        # Without a lock, another process may be training here.
        return False
    content = list(run.path.iterdir())
    # Without a config.toml a folder `wandb` or `plots` may be anyone's.
    if not content or not (run.config.is_file() or all(_is_bare(each) for each in content)):
        return False
    for each in content:
        remove(each)
    return True


def set_aside(run: RunFolder, locked: bool) -> bool:
    """Moves the run in the folder into a hidden folder within, for another one to replace it; returns whether
    there was one.

    Raises `UserError` for a folder that is not a run folder, or that holds anything else as well.
    """
    content = list(run.path.iterdir())
    if not content:
        return False
    RunFolder.open(run.path)
    foreign = run.foreign()
    if foreign:
        raise _user_error(
            f"run folder {run.path} holds '{foreign[0]}', which is not part of a run; move that "
            "elsewhere and try again, or choose another with --out"
        )
    if not locked:
        raise _user_error(
            f"run folder {run.path} cannot be locked on this file system, so another process may be training "
            "there; delete it by hand, or choose another with --out"
        )
    aside = run.path / ASIDE
    remove(aside)
    aside.mkdir()
    for each in content:
        if each != aside:
            each.rename(aside / each.name)
    return True


def restore_aside(run: RunFolder) -> None:
    """Moves back what `set_aside` moved; the folder is otherwise empty."""
    aside = run.path / ASIDE
    for each in aside.iterdir() if aside.is_dir() else ():
        each.rename(run.path / each.name)
    remove(aside)


def drop_aside(run: RunFolder) -> None:
    """Deletes what `set_aside` moved, if anything."""
    remove(run.path / ASIDE)


def _is_bare(path: Path) -> bool:
    """Whether nothing would be lost with it: an empty folder, or half a file."""
    if path.is_dir() and not path.is_symlink():
        return all(is_half_made(each) for each in path.iterdir())
    return is_half_made(path)


def _user_error(message: str) -> UserError:
    from ganforge.api import UserError

    return UserError(message)
