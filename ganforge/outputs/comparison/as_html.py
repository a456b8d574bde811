"""A comparison of runs as one page without script, for light and dark screens."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from ganforge.outputs.comparison.table import Comparison, Section, shown
from ganforge.outputs.report_style import CSS

WIDE = """
.wide { overflow-x: auto; }
.wide table { table-layout: fixed; }
.wide thead th, .wide td { text-align: right; font-variant-numeric: tabular-nums; }
.wide td.none { color: var(--soft); }
"""


def html(comparison: Comparison) -> str:
    """Loads nothing from elsewhere."""
    title = escape(f"{len(comparison.runs)} runs compared")
    notes = "".join(f"<li>{escape(note)}</li>" for note in comparison.notes)
    parts = [
        f"<header><h1>{title}</h1><p class='facts'>{escape(' · '.join(comparison.runs))}</p></header>",
        f"<ul class='warnings'>{notes}</ul>" if notes else "",
        *(_section(section, comparison.runs) for section in comparison.sections),
    ]
    return (
        "<!DOCTYPE html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'>\n"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>\n"
        f"<title>{title} - ganforge</title>\n<style>{CSS}{WIDE}</style>\n</head>\n<body>\n"
        + "\n".join(part for part in parts if part)
        + "\n</body>\n</html>\n"
    )


def _section(section: Section, runs: Sequence[str]) -> str:
    head = "<td style='width: 15rem'></td>" + "".join(f"<th scope='col'>{escape(run)}</th>" for run in runs)
    lines = []
    for row in section.rows:
        cells = "".join(
            f"<td>{escape(shown(cell))}</td>" if cell else "<td class='none'>-</td>" for cell in row.cells
        )
        lines.append(f"<tr><th scope='row'>{escape(row.label)}</th>{cells}</tr>")
    wide = f"min-width: {15 + 11 * len(runs)}rem"
    table = f"<table style='{wide}'><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    return f"<section><h2>{escape(section.title)}</h2><div class='wide'>{table}</div></section>"
