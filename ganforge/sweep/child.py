"""A trial's process, and the rows that it writes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ganforge.engine.checkpoint import checkpoint
from ganforge.outputs.metrics_log import read_new_rows
from ganforge.outputs.run_folder import RunFolder

PROGRAM = ("-P", "-m", "ganforge")
"""What Python should run: this very installation, whatever is on the PATH."""

STOP_S = 120.0
"""Seconds that a trial asked to stop may take to write its checkpoint."""

LAUNCHERS = ("MASTER_", "PET_", "TORCHELASTIC_", "ACCELERATE_")
PLACES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "NODE_RANK", "NNODES", "SLURM_STEP_ID")
"""Variables that make a process one of a group. Workers that a cluster launches together have them, and
their trials must not be taken for one distributed run."""


class Child:
    """`ganforge` with some arguments, in a process of its own, so that a crash or leaked memory stays
    there."""

    def __init__(self, arguments: Sequence[str], log: Path) -> None:
        with log.open("ab") as said:
            # A session of its own: Ctrl-C reaches the worker, which then stops its trial cleanly.
            self._process = subprocess.Popen(
                [sys.executable, *PROGRAM, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                env=alone(os.environ),
                start_new_session=True,
            )

    def wait(self, seconds: float) -> int | None:
        """The exit code, or None if it is still running after the timeout."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(seconds)
        return None

    def stop(self) -> int:
        """Asks for a checkpoint and an exit; returns the exit code."""
        self._process.send_signal(signal.SIGTERM)
        code = self.wait(STOP_S)
        return self.kill() if code is None else code

    def kill(self) -> int:
        self._process.kill()
        return self._process.wait()


@contextlib.contextmanager
def running(arguments: Sequence[str], log: Path) -> Iterator[Child]:
    """A child that does not outlive the block."""
    child = Child(arguments, log)
    try:
        yield child
    except KeyboardInterrupt:
        child.kill()
        raise
    finally:
        if child.wait(0) is None:
            child.stop()


def alone(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without what makes a process one of a group."""
    return {
        name: value
        for name, value in environment.items()
        if name not in PLACES and not name.startswith(LAUNCHERS)
    }


class Tail:
    """Follows a metrics.jsonl that another process writes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None
        self._offset = 0

    def rows(self) -> list[dict[str, Any]]:
        """The complete rows since the last call. A continued run replaces the file by a shorter one;
        then all of its rows."""
        with contextlib.suppress(FileNotFoundError):
            now = self._path.stat().st_ino
            if now != self._file:
                self._file, self._offset = now, 0
            found, self._offset = read_new_rows(self._path, self._offset)
            return found
        return []


def last_line(log: Path) -> str:
    """The last line that a process printed; empty if none."""
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n") if log.is_file() else []
    said = [line.strip() for line in lines if line.strip()]
    return said[-1][:300] if said else ""


def newest_images(run: Path) -> int:
    """Images seen at the newest complete checkpoint of a run folder; 0 if there is none."""
    found = checkpoint.complete(RunFolder(run).checkpoints)
    return int(found[-1].name) if found else 0
