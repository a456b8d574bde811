"""The numbers that `ganforge evaluate` recorded."""

from __future__ import annotations

import math
from typing import Any

from ganforge.outputs.charts import SPREAD, in_words
from ganforge.outputs.report.html import table, text
from ganforge.outputs.report.records import Record
from ganforge.outputs.report.verdict import direction

MAX_ROWS = 200


def evaluations(record: Record) -> str:
    """Newest first: each value with its standard deviation over the seeds, and which direction is better."""
    rows = []
    for evaluation in reversed(record.evaluations):
        seen, network = f"{evaluation['images_seen']:,}", text(evaluation.get("network", ""))
        for metric in evaluation["metrics"]:
            values, seeds = metric["values"], metric.get("seeds")
            count = str(len(seeds)) if isinstance(seeds, list) else "-"
            for name, value in values.items():
                spread = name.endswith(SPREAD) and name.removesuffix(SPREAD) in values
                if not spread and "/" not in name:
                    shown = value_in_words(value, values.get(name + SPREAD))
                    rows.append([text(in_words(name)), text(shown), _better(name), count, seen, network])
    head = ["metric", "value", "better", "seeds", "images seen", "network"]
    return table(head, rows[:MAX_ROWS], "numbers", "Evaluations, newest first")


def last_values(record: Record) -> str:
    """Each logged quantity's last value and where it was logged."""
    last: dict[str, tuple[Any, int]] = {}
    for row in record.rows:
        for key, value in row.items():
            if key not in ("images_seen", "nonfinite", "iteration"):
                last[key] = (value, row["images_seen"])
    rows = [[text(key), text(value_in_words(v)), f"{seen:,}"] for key, (v, seen) in sorted(last.items())]
    return table(["name", "value", "images seen"], rows, "numbers", "Last value of everything logged")


def value_in_words(value: Any, spread: Any = None) -> str:
    """A number to 6 digits, ± its standard deviation to 2."""
    if value is None:
        return "not finite"
    if not isinstance(value, float):
        return str(value)
    shown = f"{value:.6g}"
    known = isinstance(spread, int | float) and math.isfinite(spread)
    return f"{shown} ± {spread:.2g}" if known else shown


def _better(name: str) -> str:
    lower = direction(name)
    return "" if lower is None else "lower" if lower else "higher"
