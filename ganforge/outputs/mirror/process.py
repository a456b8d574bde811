"""`python -m ganforge.outputs.mirror.process RUN`: copies a run's record to W&B from outside.

A process of its own, because a logger must not be able to slow, stop or crash a training run.
It only reads what the trainer writes to disk anyway, and detects the end of the run by the end of
its stdin, which closes with the trainer however that ends. Its stdout and stderr go to
RUN/wandb/mirror.log.
"""

from __future__ import annotations

import dataclasses
import fcntl
import logging
import os
import select
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ganforge.files import open_own, within
from ganforge.outputs.metrics_log import read_new_rows
from ganforge.outputs.mirror.files import MirrorStatus, WandbSettings
from ganforge.outputs.run_folder import RunFolder

if TYPE_CHECKING:
    import wandb

logger = logging.getLogger("ganforge.wandb_mirror")

DONE = b"done"
"""Sent by the trainer before it closes the pipe at the end of a run that succeeded."""
MODULE = "ganforge.outputs.mirror.process"
POLL_S = 1.0
TEARDOWN_S = 10.0
LAST_UPLOAD_S = 600.0
"""Seconds by which the mirror outlives the trainer at most, whatever the network does."""


class Mirror:
    """One mirroring of one run."""

    def __init__(self, run: RunFolder, settings: WandbSettings, reason: str | None) -> None:
        """`reason`: why the settings are not the user's, if they are not."""
        self.run = run
        self.settings = settings
        before = MirrorStatus.load(run.wandb / "status.json")
        self.status = MirrorStatus(
            pid=os.getpid(),
            reason=reason,
            images_seen=before.images_seen,
            rows_there=before.rows_there,
            grid_images_seen=before.grid_images_seen,
        )
        self._skip = (before.images_seen, before.rows_there)
        self._offset = 0
        self._file = -1
        # Events from before this mirror started were reported by an earlier one.
        self._events = run.events.stat().st_size if run.events.is_file() else 0
        self._seen_at = (-1, 0)
        self._over = threading.Event()

    def main(self) -> None:
        """Mirrors until the trainer is gone and everything it wrote has been forwarded."""
        self._save()
        threading.Thread(target=self._watch_trainer, daemon=True).start()
        record = self._start()
        while not self._over.wait(POLL_S):
            self._copy(record)
        self._copy(record)
        went_well = os.read(0, len(DONE)) == DONE
        record.finish(exit_code=0 if went_well else 1)
        self.status.finished = True
        self._save()

    def _watch_trainer(self) -> None:
        # Waits for the end without reading: after `record_offline` another program reads it.
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

    def _start(self) -> wandb.Run:
        """A W&B run as configured; failing that, this process restarts with an offline one."""
        if self.settings.mode == "offline":
            return self._init()
        try:
            return self._init()
        except Exception as error:
            # wandb raises more than its own UsageError and CommError if it has no server.
            logger.exception("W&B online did not start; recording offline")
            record_offline(self.run, one_line(error))

    def _init(self) -> wandb.Run:
        import wandb

        options = {
            "init_timeout": self.settings.init_timeout_s,
            "console": "off",  # the mirror's own output is of no interest
            "disable_code": True,  # the mirror's code is not the run's
            "x_stats_pid": os.getppid(),  # monitor the trainer's load
        }
        known = {key: value for key, value in options.items() if key in wandb.Settings.model_fields}
        record = wandb.init(
            mode=self.settings.mode,
            dir=str(self.run.path.absolute()),
            project=self.settings.project,
            entity=self.settings.entity,
            name=self.settings.name,
            tags=list(self.settings.tags),
            id=self.settings.run_id,
            resume="allow",
            config=dict(self.settings.config),
            settings=wandb.Settings(**known),
        )
        record.define_metric("images_seen")
        record.define_metric("*", step_metric="images_seen")
        self.status.mode = "online" if self.settings.mode == "online" else "offline"
        self.status.url = record.url
        self.status.folder = Path(record.dir).parent.name
        self._save()
        return record

    def _copy(self, record: wandb.Run) -> None:
        """Forwards what is new since the last call."""
        import wandb

        self._notice_rollback()
        rows, self._offset = read_new_rows(self.run.metrics, self._offset)
        entries = [as_logged(row) for row in rows if self._is_new(row["images_seen"])]
        grids = [(seen, file) for seen, file in self.run.grid_files() if seen > self.status.grid_images_seen]
        entries += [{"images_seen": seen, "grid": wandb.Image(str(file))} for seen, file in grids]
        # In order, because W&B's summary is the last value it received, not the furthest along.
        for entry in sorted(entries, key=lambda entry: entry["images_seen"]):
            record.log(entry)
        if entries:
            self.status.images_seen, self.status.rows_there = max(self._seen_at, self._skip)
            self.status.grid_images_seen = max([self.status.grid_images_seen, *(seen for seen, _ in grids)])
            self._save()
        self._alert(record)

    def _notice_rollback(self) -> None:
        """A rollback replaces the log by a shorter one. Rows beyond those already at W&B follow once
        the run has progressed that far again: W&B cannot take rows back."""
        file = self.run.metrics.stat().st_ino if self.run.metrics.is_file() else -1
        if file != self._file and self._offset:
            self._offset, self._skip, self._seen_at = 0, max(self._seen_at, self._skip), (-1, 0)
        self._file = file

    def _alert(self, record: wandb.Run) -> None:
        """Forwards events as alerts; W&B mails them or posts them to Slack."""
        events, self._events = read_new_rows(self.run.events, self._events)
        for event in events:
            title = f"{event.get('diagnosis', event['event'])} at {event['images_seen']:,} images"
            record.alert(title=title, text=str(event["what"]), level="WARN", wait_duration=0)

    def _is_new(self, images_seen: int) -> bool:
        """Whether no earlier mirror has forwarded this row, the next in the file: a resumed run
        starts again from its last checkpoint, and W&B cannot take rows back."""
        there = self._seen_at[1] + 1 if images_seen == self._seen_at[0] else 1
        self._seen_at = (images_seen, there)
        return self._seen_at > self._skip

    def _save(self) -> None:
        self.status.save(self.run.wandb / "status.json")


def as_logged(row: dict[str, Any]) -> dict[str, Any]:
    """A row of metrics.jsonl in W&B's form: with NaN, which W&B can show, where JSON has null."""
    lost = row.get("nonfinite", [])
    kept = {key: value for key, value in row.items() if key != "nonfinite" and value is not None}
    return kept | {key: float("nan") for key in lost}


def one_line(error: BaseException) -> str:
    """The error, shortened to one line on a terminal."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else text[:197] + "..."


def record_offline(run: RunFolder, reason: str) -> NoReturn:
    """Replaces this program by a fresh one that records offline.

    A W&B library that failed to reach its server cannot be restarted: depending on its version it
    still holds the run's id, or waits for the server even to be shut down.
    """
    import wandb

    ending = threading.Thread(target=wandb.teardown, daemon=True)
    ending.start()
    ending.join(TEARDOWN_S)
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-P", "-m", MODULE, str(run.path), reason])


def main(path: Path, offline_because: str | None = None) -> None:
    """Mirrors the run in `path`; writes the reason to status.json if it fails."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    # Whoever stops the trainer often stops its whole group; the mirror ends when its stdin does.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # wandb's crash reports would go to its makers, even from an offline run.
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    run = RunFolder(path)
    within(run.wandb, run.path)
    with open(open_own(run.wandb / "mirror.lock", os.O_WRONLY | os.O_CREAT), "w") as lock:
        # The mirror from before a resume may still be uploading, and two must not write one W&B run.
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError as error:
            logger.warning("no locks here (%s): two mirrors may write one W&B run", error.strerror)
        settings = WandbSettings.load(run.wandb / "mirror.json")
        if offline_because is None:
            os.nice(10)
        else:
            settings = dataclasses.replace(settings, mode="offline")
        mirror = Mirror(run, settings, offline_because)
        try:
            mirror.main()
        except Exception as error:
            logger.exception("the mirror stopped; the run continues without it")
            mirror.status.mode, mirror.status.reason = "failed", one_line(error)
            mirror.status.save(run.wandb / "status.json")
            sys.exit(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:3])
