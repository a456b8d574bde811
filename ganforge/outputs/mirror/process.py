"""`python -m ganforge.outputs.mirror.process RUN FOLDER`: copies a run's record to a tracker from outside.

A process of its own, because a logger must not be able to slow, stop or crash a training run.
It only reads what the trainer writes to disk anyway, and detects the end of the run by the end of
its stdin, which closes with the trainer however that ends. FOLDER holds its request, its status, and its log,
where its stdout and stderr go.
"""

from __future__ import annotations

import dataclasses
import fcntl
import importlib
import logging
import os
import select
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ganforge.files import open_own, within
from ganforge.outputs.metrics_log import read_new_rows
from ganforge.outputs.mirror.feed import Feed
from ganforge.outputs.mirror.files import LOCK, REQUEST, STATUS, MirrorStatus, Opening, Request
from ganforge.outputs.run_folder import RunFolder

if TYPE_CHECKING:
    from ganforge.api import Sink

logger = logging.getLogger("ganforge.mirror")

DONE = b"done"
"""Sent by the trainer before it closes the pipe at the end of a run that succeeded."""
MODULE = "ganforge.outputs.mirror.process"
POLL_S = 1.0
LAST_UPLOAD_S = 600.0
"""Seconds by which the mirror outlives the trainer at most, whatever the network does."""


class Mirror:
    """One mirroring of one run."""

    def __init__(self, run: RunFolder, folder: Path, request: Request, reason: str) -> None:
        """`reason`: why the settings are not the user's; "" if they are."""
        self.run = run
        self.folder = folder
        self.request = request
        self.reason = reason
        self.before = MirrorStatus.load(folder / STATUS)
        self.status = MirrorStatus(
            pid=os.getpid(),
            images_seen=self.before.images_seen,
            rows_there=self.before.rows_there,
            pictures=dict(self.before.pictures),
        )
        # Events from before this mirror started were reported by an earlier one.
        self._events = run.events.stat().st_size if run.events.is_file() else 0
        self._over = threading.Event()

    def main(self) -> None:
        """Mirrors until the trainer is gone and everything it wrote has been forwarded."""
        self._save()
        threading.Thread(target=self._watch_trainer, daemon=True).start()
        sink = self._open()
        sent = (self.before.images_seen, self.before.rows_there)
        feed = Feed(self.run.metrics, sent, self.request.rows_until, sink.purges)
        self.status.state, self.status.place, self.status.by_hand = "recording", sink.place, sink.by_hand
        self._save()
        while not self._over.wait(POLL_S):
            self._copy(sink, feed)
        self._copy(sink, feed)
        sink.close(os.read(0, len(DONE)) == DONE)
        self.status.finished = True
        self._save()

    def _watch_trainer(self) -> None:
        # Waits for the end without reading: after a retreat another program reads it.
        pipe = select.poll()
        pipe.register(0, 0)
        pipe.poll()
        self._over.set()
        end = threading.Timer(LAST_UPLOAD_S, self._give_up)
        end.daemon = True
        end.start()

    def _give_up(self) -> None:
        logger.error("not finished %.0f s after the end of the run; giving up", LAST_UPLOAD_S)
        os._exit(1)

    def _open(self) -> Sink:
        """The sink as configured; failing that, this process restarts with the settings it retreats to."""
        request = self.request
        module, _, name = request.sink.partition(":")
        kind: type[Sink] = getattr(importlib.import_module(module), name)
        resume = bool(self.before.rows_there or self.before.pictures)
        opening = Opening(
            request.run_id, request.name, request.config, self.folder, resume, self.reason, os.getppid()
        )
        try:
            return kind.open(request.settings, opening)
        except Exception as error:
            settings = None if self.reason else kind.retreat(request.settings)
            if settings is None:
                raise
            logger.exception("%s did not start as configured", request.title)
            restart(self.run, self.folder, dataclasses.replace(request, settings=settings), one_line(error))

    def _copy(self, sink: Sink, feed: Feed) -> None:
        """Forwards what is new since the last call."""
        purge, rows = feed.poll()
        pictures = self.status.pictures
        if purge is not None:
            sink.purge(purge)
            for name in pictures:
                pictures[name] = min(pictures[name], purge - 1)
        grids = [each for each in pictures_of(self.run) if each[0] > pictures.get(each[1], -1)]
        waiting = [as_logged(row) for row in rows]
        # In order, because a tracker's summary is the last value it received, not the furthest along.
        for seen, name, file in sorted(grids):
            due = [row for row in waiting if row["images_seen"] <= seen]
            waiting = waiting[len(due) :]
            if due:
                sink.rows(due)
            sink.image(name, seen, file)
            pictures[name] = seen
        if waiting:
            sink.rows(waiting)
        if rows or grids or purge is not None:
            self.status.images_seen, self.status.rows_there = feed.position
            self._save()
        events, self._events = read_new_rows(self.run.events, self._events)
        for event in events:
            sink.event(event)

    def _save(self) -> None:
        self.status.save(self.folder / STATUS)


def pictures_of(run: RunFolder) -> list[tuple[int, str, Path]]:
    """(images seen, name, file) of every grid."""
    found = [(seen, "samples", file) for seen, file in run.grid_files()]
    for folder in run.grids.iterdir() if run.grids.is_dir() else ():
        if folder.is_dir() and not folder.is_symlink():
            found += [
                (int(file.stem), folder.name, file)
                for file in folder.glob("*.png")
                if file.stem.isascii() and file.stem.isdigit() and not file.is_symlink()
            ]
    return found


def as_logged(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of metrics.jsonl for a tracker: with NaN, which it can show, where JSON has null."""
    lost = row.get("nonfinite", [])
    kept = {key: value for key, value in row.items() if key != "nonfinite" and value is not None}
    return kept | {key: float("nan") for key in lost}


def one_line(error: BaseException) -> str:
    """The error, shortened to one line on a terminal."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else text[:197] + "..."


def restart(run: RunFolder, folder: Path, request: Request, reason: str) -> NoReturn:
    """Replaces this program by a fresh one: a client library that failed to reach its server cannot always be
    started again in the same process."""
    request.save(folder / REQUEST)
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-P", "-m", MODULE, str(run.path), str(folder), reason])


def main(path: Path, folder: Path, reason: str = "") -> None:
    """Mirrors the run in `path`; writes the reason to status.json if it fails."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    # Whoever stops the trainer often stops its whole group; the mirror ends when its stdin does.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    run = RunFolder(path)
    within(folder, run.path)
    with open(open_own(folder / LOCK, os.O_WRONLY | os.O_CREAT), "w") as lock:
        # The mirror from before a resume may still be uploading, and two must not write one record.
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError as error:
            logger.warning("no locks here (%s): two mirrors may write one record", error.strerror)
        if not reason:
            os.nice(10)
        mirror = Mirror(run, folder, Request.load(folder / REQUEST), reason)
        try:
            mirror.main()
        except Exception as error:
            logger.exception("the mirror stopped; the run continues without it")
            mirror.status.state, mirror.status.reason = "failed", one_line(error)
            mirror.status.save(folder / STATUS)
            sys.exit(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:4])
