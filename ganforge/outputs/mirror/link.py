"""The trainer's side of a mirror: starts it, and reports at the end where the record is.

Nothing here raises because of a tracker, and only `finish` waits for it, for a bounded time.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganforge.files import open_own, within
from ganforge.outputs.metrics_log import read_new_rows
from ganforge.outputs.mirror.files import LOG, REQUEST, STATUS, MirrorStatus, Request
from ganforge.outputs.run_folder import RunFolder

if TYPE_CHECKING:
    from ganforge.api import Tracker

PATIENCE_S = 20.0
"""Seconds that the end of a run waits for its mirrors; a longer upload continues on its own."""
_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT


class MirrorLink:
    """A mirror of a run, or the reason why there is none."""

    def __init__(
        self,
        run: RunFolder,
        folder: Path,
        title: str,
        process: subprocess.Popen[bytes] | None = None,
        trouble: str | None = None,
        asked: bool = True,
    ) -> None:
        self._run = run
        self._folder = folder
        self._title = title
        self._asked = asked
        self.process = process
        """The mirror process, which may outlive the trainer; None if there is none."""
        self._trouble = trouble

    @classmethod
    def start(
        cls,
        run: RunFolder,
        tracker: Tracker,
        folder: Path,
        config: Mapping[str, Any] | None = None,
        run_id: str | None = None,
        asked: bool | None = None,
    ) -> MirrorLink:
        """Starts the mirror in the background and returns at once; its files are in `folder`. In a resumed
        run, call this after the rows beyond the checkpoint have been cut off.

        `asked`: whether the user asked for it; None = as when the run began.
        """
        # Imported here: its package imports torch.
        from ganforge.api.optional import is_installed

        title = tracker.title or tracker.type
        wanted = tracker.wanted()
        if wanted is None:
            return cls(run, folder, title)
        known = _earlier(folder)
        asked = bool(known.get("asked", True)) if asked is None else asked
        if tracker.package and not is_installed(tracker.package):
            trouble = (
                f"{title}: not recording: {tracker.package} is not installed; "
                f"install it with: pip install {tracker.package}"
            )
            return cls(run, folder, title, trouble=trouble, asked=asked)
        try:
            within(folder, run.path).mkdir(parents=True, exist_ok=True)
            request = Request(
                sink=wanted.sink,
                settings=wanted.model_dump(mode="json"),
                title=title,
                run_id=run_id or str(known.get("run_id") or secrets.token_hex(4)),
                name=run.path.absolute().name,
                config=config or {},
                rows_until=_rows_until(run),
                asked=asked,
            )
            request.save(folder / REQUEST)
            with open(open_own(folder / LOG, _APPEND), "ab") as log:
                places = [str(run.path.absolute()), str(folder.absolute())]
                process = subprocess.Popen(
                    # -P: a file in the working directory must not shadow a module of the same name.
                    [sys.executable, "-P", "-m", "ganforge.outputs.mirror.process", *places],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        except (OSError, ValueError, TypeError) as error:
            return cls(run, folder, title, trouble=f"{title}: not recording ({error})", asked=asked)
        return cls(run, folder, title, process, asked=asked)

    def end(self, ok: bool = True) -> None:
        """Announces the end of the run. `ok`: whether it ended normally; otherwise trackers that can show it
        as crashed."""
        pipe = self.process.stdin if self.process is not None else None
        if pipe is not None and not pipe.closed:
            with contextlib.suppress(OSError):
                if ok:
                    pipe.write(b"done")
                pipe.close()

    def finish(self, patience_s: float | None = None, ok: bool = True) -> str | None:
        """Ends the record and returns the one line to show, or None if it was not requested.

        Waits at most `patience_s` seconds, or `PATIENCE_S` if that is None.
        """
        if self.process is None:
            return self._trouble if self._asked else None
        self.end(ok)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(PATIENCE_S if patience_s is None else patience_s)
        status = MirrorStatus.load(self._folder / STATUS)
        if status.pid != self.process.pid:
            status = MirrorStatus()
        if not self._asked:
            return None
        return status_line(self._run, self._folder, self._title, status, self.process.poll() is None)


def status_line(run: RunFolder, folder: Path, title: str, status: MirrorStatus, running: bool) -> str:
    """One line about the record: where it is, and what to type to complete it."""
    log = f"log: {folder / LOG}"
    if status.state == "starting":
        if running:
            return f"{title}: no answer yet; the mirror keeps trying in the background ({log})"
        return f"{title}: the mirror did not start; the metrics are in {run.metrics} ({log})"
    if status.state == "failed":
        why = f" ({status.reason})" if status.reason else ""
        return f"{title}: the mirror stopped{why}; the metrics are in {run.metrics} ({log})"
    if status.finished or not status.by_hand:
        return f"{title}: {status.place}"
    how = "still uploading in the background" if running else "the upload was interrupted"
    return f"{title}: {status.place} ({how}; to complete it by hand: {status.by_hand})"


def _earlier(folder: Path) -> dict[str, Any]:
    """The request of the session before, {} if there was none."""
    try:
        found = json.loads((folder / REQUEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _rows_until(run: RunFolder) -> int:
    rows, _ = read_new_rows(run.metrics, 0)
    return int(rows[-1]["images_seen"]) if rows else -1
