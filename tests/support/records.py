"""What two runs are compared by."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

OF_THE_MACHINE = {"seconds", "images_per_second", "peak_memory_mib", "peak_gpu_memory_mib"}
"""Keys of a row that two runs of the same numbers need not share."""


def numbers(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows without what depends on the machine's speed and memory."""
    return [{key: value for key, value in row.items() if key not in OF_THE_MACHINE} for row in rows]


def logged(run: Path) -> list[dict[str, Any]]:
    """The whole rows of a run folder's log; a torn last line is not one."""
    log = run / "metrics.jsonl"
    lines = log.read_bytes().split(b"\n")[:-1] if log.exists() else []
    return [json.loads(line) for line in lines]
