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


def cut(path: Path, count: int | None, images_seen: int) -> int:
    """Drops the events after the first `count`, which a resumed run records again; returns how many are left.

    None: the checkpoint is of an older version, which did not count them. Then findings beyond `images_seen`
    are dropped.
    """
    events = read_events(path)
    if count is None:
        kept = [event for event in events if event["event"] != FINDING or event["images_seen"] <= images_seen]
    else:
        kept = events[:count]
    if len(kept) < len(events):
        write_bytes(path, b"".join(encoded(event) for event in kept))
    return len(kept)
