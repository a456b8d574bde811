"""What a reader of a run should know before believing it."""

from __future__ import annotations

from ganforge.outputs.report.records import Record

MAX_EVENTS = 30


def warnings(record: Record) -> list[str]:
    """Warnings of the start, events of the training, values that were lost."""
    known = record.info.get("warnings")
    found = [str(warning) for warning in known] if isinstance(known, list) else []
    events = [
        f"{event.get('diagnosis', event['event'])} at {event['images_seen']:,} images: "
        f"{event.get('what', '')}"
        for event in record.events
    ]
    if len(events) > MAX_EVENTS:
        events = [*events[:MAX_EVENTS], f"and {len(events) - MAX_EVENTS} more events in events.jsonl"]
    found += events
    lost: dict[str, list[int]] = {}
    for row in record.rows:
        keys = row.get("nonfinite")
        for key in keys if isinstance(keys, list) else []:
            lost.setdefault(str(key), []).append(row["images_seen"])
    found += [
        f"{key} was not finite in {len(seen)} of {len(record.rows)} rows, first at {seen[0]:,} images"
        for key, seen in lost.items()
    ]
    if record.table("git").get("dirty"):
        found.append("the working tree had uncommitted changes when the run started")
    if not record.rows:
        found.append("metrics.jsonl has no rows yet")
    return found + record.notes
