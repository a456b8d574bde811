"""A reader of the records that W&B writes."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any


def records(folder: Path) -> list[Any]:
    """What a .wandb file holds: LevelDB's log format, 32 KiB blocks of fragments."""
    # Imported here: it takes seconds.
    from wandb.proto import wandb_internal_pb2

    record: Any = vars(wandb_internal_pb2)["Record"]  # made at import, so unknown to a type checker
    (file,) = folder.glob("*.wandb")
    data = file.read_bytes()
    found, position, whole = [], 7, b""
    while position + 7 <= len(data):
        room = 32768 - position % 32768
        if room < 7:
            position += room
            continue
        _, length, kind = struct.unpack_from("<IHB", data, position)
        whole += data[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):
            found.append(record.FromString(whole))
            whole = b""
    return found


def history(folder: Path) -> list[dict[str, Any]]:
    """The logged rows, without what W&B adds to them."""
    rows = []
    for record in records(folder):
        if record.HasField("history"):
            items = {".".join(i.nested_key) or i.key: json.loads(i.value_json) for i in record.history.item}
            rows.append({key: value for key, value in items.items() if not key.startswith("_")})
    return rows
