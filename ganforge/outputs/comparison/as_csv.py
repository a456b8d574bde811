"""A comparison of runs as CSV, machine-readable: one value of one run per line."""

from __future__ import annotations

import csv
import io

from ganforge.outputs.comparison.table import Comparison
from ganforge.outputs.printable import printable

COLUMNS = ("run", "part", "name", "value", "std", "repeats", "remark", "fingerprint")


def as_csv(comparison: Comparison) -> str:
    """Full precision; a text that a spreadsheet would take for a formula has a quotation mark in front.
    Group by `fingerprint` too: where it differs, values are not comparable."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(COLUMNS)
    for section in comparison.sections:
        for row in section.rows:
            for run, cell in zip(comparison.runs, row.cells, strict=True):
                if cell is not None:
                    line = [run, section.title, row.name, cell.raw, cell.std, cell.repeats, cell.remark]
                    lines.writerow([_no_formula(value) for value in (*line, row.fingerprint)])
    return text.getvalue()


def _no_formula(value: object) -> object:
    """Spreadsheets evaluate cells that begin with these signs; numbers may begin with a minus."""
    if not isinstance(value, str) or not value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return printable(value) if isinstance(value, str) else value
    try:
        float(value)
    except ValueError:
        return f"'{printable(value)}"
    return value
