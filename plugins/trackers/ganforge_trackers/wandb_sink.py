"""What records on Weights & Biases, in a process of its own."""

from __future__ import annotations

import os
import shlex
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import wandb

    from ganforge.api import TrackedRun

TEARDOWN_S = 10.0
"""Seconds that a client that has failed gets to end; it may wait for a server for ever."""
# wandb's crash reports would go to its makers, even from an offline run.
os.environ.setdefault("WANDB_ERROR_REPORTING", "false")


class WandbSink:
    """A W&B run. W&B cannot take rows back."""

    purges = False

    def __init__(self, record: wandb.Run, place: str, by_hand: str) -> None:
        self.record = record
        self.place = place
        self.by_hand = by_hand

    @classmethod
    def open(cls, settings: Mapping[str, Any], run: TrackedRun) -> WandbSink:
        """Raises what wandb raises: more than its own UsageError and CommError if it has no server."""
        import wandb

        options = {
            "init_timeout": settings["init_timeout_s"],
            "console": "off",  # the mirror's own output is of no interest
            "disable_code": True,  # the mirror's code is not the run's
            "x_stats_pid": run.trainer,  # monitor the trainer's load
        }
        known = {key: value for key, value in options.items() if key in wandb.Settings.model_fields}
        record = wandb.init(
            mode=settings["mode"],
            # W&B itself adds a folder `wandb`.
            dir=str(run.folder.parent if run.folder.name == "wandb" else run.folder),
            project=settings["project"],
            entity=settings["entity"] or None,
            name=settings["name"] or run.name,
            tags=list(settings["tags"]),
            id=run.run_id,
            resume="allow",
            config=dict(run.config),
            settings=wandb.Settings(**known),
        )
        record.define_metric("images_seen")
        record.define_metric("*", step_metric="images_seen")
        upload = f"wandb sync {shlex.quote(str(Path(record.dir).parent))}"
        if settings["mode"] == "online":
            return cls(record, str(record.url), upload)
        why = f"not reachable ({run.reason}), " if run.reason else ""
        return cls(record, f"{why}recorded offline; to upload: {upload}", "")

    @classmethod
    def retreat(cls, settings: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Offline. What is left of the client is ended first: depending on its version it still holds the
        run's id."""
        import wandb

        if settings["mode"] != "online":
            return None
        ending = threading.Thread(target=wandb.teardown, daemon=True)
        ending.start()
        ending.join(TEARDOWN_S)
        return {**settings, "mode": "offline"}

    def rows(self, rows: Sequence[Mapping[str, Any]]) -> None:
        for row in rows:
            self.record.log(dict(row))

    def image(self, name: str, images_seen: int, path: Path) -> None:
        import wandb

        key = "grid" if name == "samples" else f"grid/{name}"
        self.record.log({"images_seen": images_seen, key: wandb.Image(str(path))})

    def event(self, event: Mapping[str, Any]) -> None:
        """As an alert; W&B mails them or posts them to Slack."""
        title = f"{event.get('diagnosis', event['event'])} at {event['images_seen']:,} images"
        self.record.alert(title=title, text=str(event["what"]), level="WARN", wait_duration=0)

    def purge(self, images_seen: int) -> None:
        raise NotImplementedError

    def close(self, ok: bool) -> None:
        self.record.finish(exit_code=0 if ok else 1)
