"""The trainer's side of the W&B mirror: starts it, and reports at the end where the record is.

Nothing here raises because of W&B, and only `finish` waits for it, for a bounded time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import secrets
import shlex
import subprocess
import sys

from ganforge.files import open_own, within
from ganforge.outputs.mirror.files import MirrorStatus, WandbSettings
from ganforge.outputs.run_folder import RunFolder

PATIENCE_S = 20.0
"""Seconds that the end of a run waits for its mirror; a longer upload continues on its own."""


_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT


class WandbLink:
    """A run's mirror, or the reason why there is none."""

    def __init__(
        self, run: RunFolder, process: subprocess.Popen[bytes] | None = None, trouble: str | None = None
    ) -> None:
        self._run = run
        self.process = process
        """The mirror process, which may outlive the trainer; None if there is none."""
        self._trouble = trouble

    @classmethod
    def start(cls, run: RunFolder, settings: WandbSettings) -> WandbLink:
        """Starts the mirror in the background and returns at once. In a resumed run, call this
        after the rows beyond the checkpoint have been cut off."""
        if settings.mode == "disabled":
            return cls(run)
        request = run.wandb / "mirror.json"
        try:
            within(run.wandb, run.path).mkdir(exist_ok=True)
            if settings.run_id is None:
                settings = dataclasses.replace(settings, run_id=_first_id(run) or secrets.token_hex(4))
            settings.save(request)
            with open(open_own(run.wandb / "mirror.log", _APPEND), "ab") as log:
                process = subprocess.Popen(
                    # -P: a file in the working directory must not shadow a module of the same name.
                    [sys.executable, "-P", "-m", "ganforge.outputs.mirror.process", str(run.path.absolute())],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        except (OSError, ValueError, TypeError) as error:
            return cls(run, trouble=f"W&B: not recording ({error})")
        return cls(run, process)

    def finish(self, patience_s: float | None = None, ok: bool = True) -> str | None:
        """Ends the record and returns the one line to show, or None if W&B was not requested.

        Waits at most `patience_s` seconds, or `PATIENCE_S` if that is None. `ok`: whether the run
        ended normally; otherwise W&B shows it as crashed.
        """
        if self.process is None:
            return self._trouble
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            if ok:
                self.process.stdin.write(b"done")
            self.process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(PATIENCE_S if patience_s is None else patience_s)
        status = MirrorStatus.load(self._run.wandb / "status.json")
        if status.pid != self.process.pid:
            status = MirrorStatus()
        return status_line(self._run, status, running=self.process.poll() is None)


def status_line(run: RunFolder, status: MirrorStatus, running: bool) -> str:
    """One line about the record: where it is, and what to type to upload it."""
    log = f"log: {run.wandb / 'mirror.log'}"
    why = f" ({status.reason})" if status.reason else ""
    if status.mode == "starting":
        if running:
            return f"W&B: no answer yet; the mirror keeps trying in the background ({log})"
        return f"W&B: the mirror did not start; the metrics are in {run.metrics} ({log})"
    if status.mode == "failed":
        return f"W&B: the mirror stopped{why}; the metrics are in {run.metrics} ({log})"
    upload = f"wandb sync {shlex.quote(str(run.wandb / (status.folder or '')))}"
    if status.mode == "offline":
        return f"W&B: {'not reachable' + why + ', ' if why else ''}recorded offline; to upload: {upload}"
    if status.finished:
        return f"W&B: {status.url}"
    how = "still uploading in the background" if running else "the upload was interrupted"
    return f"W&B: {status.url} ({how}; to complete it by hand: {upload})"


def _first_id(run: RunFolder) -> str | None:
    try:
        return WandbSettings.load(run.wandb / "mirror.json").run_id
    except (OSError, ValueError, TypeError, KeyError):
        return None
