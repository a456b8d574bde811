"""What a run folder keeps of an evaluation."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ganforge.evaluation.evaluate import RECORD
from ganforge.files import open_own
from ganforge.outputs.recall_chart import write_recall_charts
from ganforge.outputs.run_folder import RunFolder


def write_record(folder: Path, record: Mapping[str, Any]) -> Path:
    """Appends the record to evaluations.jsonl, and draws the recalls of labels. Raises `OSError`, and
    `UserError` for a link out of the folder."""
    append(folder / RECORD, record)
    write_recall_charts(RunFolder.open(folder), record["metrics"])
    return folder / RECORD


def append(file: Path, record: Mapping[str, Any]) -> None:
    """One more line."""
    with open(open_own(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT), "a", encoding="utf-8") as lines:
        lines.write(json.dumps(record, allow_nan=False) + "\n")
