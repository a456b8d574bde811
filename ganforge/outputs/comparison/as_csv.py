"""A comparison of runs as CSV, machine-readable: one value of one run per line."""

from __future__ import annotations

import csv
import io

from ganforge.outputs.comparison.table import Comparison

COLUMNS = ("run", "part", "name", "value", "std", "repeats", "remark", "fingerprint")


def as_csv(comparison: Comparison) -> str:
    """Full precision. Group by `fingerprint` too: where it differs, values are not comparable."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(COLUMNS)
    for section in comparison.sections:
        for row in section.rows:
            for run, cell in zip(comparison.runs, row.cells, strict=True):
                if cell is not None:
                    line = [run, section.title, row.name, cell.raw, cell.std, cell.repeats, cell.remark]
                    lines.writerow([*line, row.fingerprint])
    return text.getvalue()
