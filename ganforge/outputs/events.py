"""events.jsonl: events of a run other than training: health findings, rollbacks, its end by the
health policy. One JSON object per line, with `event`, `iteration` and `images_seen`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ganforge.outputs.atomic import write_bytes
from ganforge.outputs.metrics_log import MetricsLog, encoded, read_rows

FINDING = "finding"


def append_event(path: Path, event: Mapping[str, Any]) -> None:
    """Appends one event; raises `OSError` as `MetricsLog.append` does."""
    MetricsLog(path).append(event)


def read_events(path: Path) -> list[dict[str, Any]]:
    """The events in order; empty if the file is missing."""
    return read_rows(path)


def drop_findings_after(path: Path, images_seen: int) -> None:
    """Drops findings beyond `images_seen`, which a resumed run will record again. Rollbacks stay:
    they explain where the run is."""
    if path.is_file():
        kept = [
            event
            for event in read_events(path)
            if event["event"] != FINDING or event["images_seen"] <= images_seen
        ]
        write_bytes(path, b"".join(encoded(event) for event in kept))
