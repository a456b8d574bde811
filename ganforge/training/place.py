"""Where a new run is written: the folder is claimed, then inspected, then prepared."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ganforge.api import UserError
from ganforge.config import RunConfig
from ganforge.outputs.claim import Busy, Claim, take, without_locks
from ganforge.outputs.metrics_log import read_rows
from ganforge.outputs.replacing import clear_unsaved, restore_aside, set_aside
from ganforge.outputs.run_folder import RunFolder


@dataclass(frozen=True)
class Place:
    """Finds the folder for one run."""

    config: RunConfig
    say: Callable[[str], None]

    @contextlib.contextmanager
    def held(self, folder: Path, numbered: bool, overwrite: bool) -> Iterator[Path]:
        """The folder to write to, which this process holds inside; afterwards nothing is left of a run that
        failed to start. Raises `UserError` if another process holds it, or if it holds something else."""
        claim = self._first(folder) if numbered else self._only(folder, overwrite)
        if not claim.locked:
            self.say(f"warning: {without_locks(claim.path)}")
        run = RunFolder(claim.path)
        failed = True
        try:
            yield claim.path
            failed = False
        finally:
            if failed and not run.config.is_file():
                restore_aside(run)
            claim.release(failed)

    def _only(self, folder: Path, overwrite: bool) -> Claim:
        claim = take(folder)
        if isinstance(claim, Busy):
            raise claim.error()
        try:
            self._prepare(claim, overwrite)
        except BaseException:
            claim.release(failed=True)
            raise
        return claim

    def _first(self, folder: Path) -> Claim:
        """The first of `folder`, `folder-2`, ... that neither holds a run nor is in use."""
        for path in numbered(folder):
            claim = take(path)
            if isinstance(claim, Claim) and not holds_run(RunFolder(path), self.config.train.images):
                break
            if isinstance(claim, Claim):
                claim.release()
        assert isinstance(claim, Claim)
        if claim.path != folder:
            self.say(
                f"{folder} already holds a run; this one is written to {claim.path} "
                "(--overwrite replaces the old one)"
            )
        try:
            self._prepare(claim, overwrite=False)
        except BaseException:
            claim.release(failed=True)
            raise
        return claim

    def _prepare(self, claim: Claim, overwrite: bool) -> None:
        """Inspects the claimed folder, and empties it where nothing is lost."""
        run = RunFolder(claim.path)
        run.refuse_links_out()
        if overwrite:
            if set_aside(run, claim.locked):
                self.say(f"{claim.path}: its run is replaced")
            return
        # The record of a run that reached its end is kept, even if its checkpoints were deleted.
        ended = self.config.train.resume == "never" and reached(run, self.config.train.images)
        if not ended and clear_unsaved(run, claim.locked):
            self.say(
                f"{claim.path}: its run ended before its first checkpoint; starting again from the beginning"
            )


def numbered(folder: Path) -> Iterator[Path]:
    """`folder`, `folder-2`, `folder-3`, ..."""
    yield folder
    for number in itertools.count(2):
        yield folder.with_name(f"{folder.name}-{number}")


def holds_run(run: RunFolder, images: int) -> bool:
    """Whether the folder holds a run that is worth keeping: it has a checkpoint, or reached its end."""
    return run.has_saved() or reached(run, images)


def reached(run: RunFolder, images: int) -> bool:
    """Whether the log in the folder goes as far as `images`."""
    try:
        rows = read_rows(run.metrics)
    except UserError:
        # A damaged record is not for a new run to delete.
        return True
    return any(row["images_seen"] >= images for row in rows)
