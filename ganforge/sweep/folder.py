"""The folder of a sweep: its layout, its workers, and a lock for one worker at a time.

All workers see this folder, on several machines through a shared file system. A worker sends a
heartbeat by touching a file, and only times of that file system are compared, so that the machines'
clocks do not matter.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import secrets
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import ganforge
from ganforge.api import UserError
from ganforge.outputs.atomic import write_bytes, write_json
from ganforge.sweep.load import Loaded

FIXED = ("set", "objective", "storage", "parameters")
"""Settings that cannot change once a sweep has started: its trials would not be comparable."""


@dataclass(frozen=True)
class SweepFolder:
    """The paths in a sweep folder."""

    path: Path

    @property
    def info(self) -> Path:
        """The study's name and the sweep file with every default filled in."""
        return self.path / "sweep.json"

    @property
    def run_file(self) -> Path:
        """The run file that is varied, as it was when the sweep started."""
        return self.path / "run.toml"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    @property
    def workers(self) -> Path:
        return self.path / "workers"

    def trial(self, number: int) -> Path:
        """The run folder of a trial."""
        return self.path / "trials" / f"{number:04d}"

    def log(self, number: int) -> Path:
        """Output of the trial's process; not in the run folder, which is the run's own."""
        return self.path / "logs" / f"{number:04d}.log"

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """A lock for one worker at a time; released by the system if a worker dies."""
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            # A file system without locks: two workers may then start one trial too many.
            with contextlib.suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def begin(self, loaded: Loaded) -> str:
        """Creates the folder, or joins the sweep in it; returns the study's name.

        Raises `UserError` if the folder holds anything else, or a sweep that differs in `FIXED`.
        """
        if self.path.exists() and not self.info.is_file() and (not self.path.is_dir() or self._foreign()):
            raise UserError(
                f"{self.path} already exists and is not a sweep folder; choose another with --out"
            )
        try:
            for folder in (self.path / "trials", self.path / "logs", self.workers):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"cannot create sweep folder {self.path}: {error.strerror}; choose another with --out"
            ) from None
        text, settings = loaded.run_file.read_bytes(), loaded.sweep.model_dump(mode="json")
        with self.alone():
            if self.info.is_file():
                return self._same(text, settings)
            write_bytes(self.run_file, text)
            name = f"{self.path.absolute().name}-{secrets.token_hex(4)}"
            started = datetime.now(UTC).isoformat(timespec="seconds")
            about = {"study": name, "ganforge": ganforge.__version__, "started": started, "sweep": settings}
            write_json(self.info, about)
            return name

    def read(self) -> dict[str, Any]:
        """sweep.json. Raises `UserError` if it is missing or damaged."""
        try:
            found = json.loads(self.info.read_text(encoding="utf-8"))
        except OSError:
            raise UserError(
                f"{self.path} is not a sweep folder: it has no {self.info.name}; "
                "pass the folder that 'ganforge sweep' wrote"
            ) from None
        except ValueError as error:
            raise UserError(f"{self.info}: not JSON: {error}") from None
        if not isinstance(found, dict) or not {"study", "sweep"} <= found.keys():
            raise UserError(f"{self.info}: 'study' or 'sweep' is missing")
        return found

    def _foreign(self) -> bool:
        """Whether the folder holds anything but what another worker is just creating."""
        made = {"trials", "logs", "workers", self.run_file.name, self.info.name}
        return any(each.name not in made and not each.name.startswith(".") for each in self.path.iterdir())

    def _same(self, text: bytes, settings: Mapping[str, Any]) -> str:
        found = self.read()
        changed = [key for key in FIXED if found["sweep"].get(key) != settings[key]]
        if self.run_file.read_bytes() != text:
            changed.insert(0, "the run file")
        if changed:
            raise UserError(
                f"the sweep in {self.path} was started with other settings ({', '.join(changed)}); restore "
                "them, or start another sweep with --out"
            )
        if found["sweep"] != settings:
            write_json(self.info, {**found, "sweep": settings})
        return str(found["study"])


class Life:
    """A worker's heartbeat, a file that it touches; removed when it leaves."""

    def __init__(self, folder: SweepFolder, grace_s: float) -> None:
        self.name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"
        self._folder = folder.workers
        self._grace_s = grace_s

    def __enter__(self) -> Life:
        self.beat()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        (self._folder / self.name).unlink(missing_ok=True)

    def beat(self) -> None:
        """To be called several times per grace period."""
        (self._folder / self.name).touch()

    def has_left(self, worker: str | None) -> bool:
        """Whether another worker left, or has sent no heartbeat for the grace period."""
        self.beat()
        try:
            last = (self._folder / worker).stat().st_mtime if worker else -math.inf
        except FileNotFoundError:
            return True
        return (self._folder / self.name).stat().st_mtime - last > self._grace_s
