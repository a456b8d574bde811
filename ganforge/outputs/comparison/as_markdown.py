"""A comparison of runs as Markdown that is also readable unrendered."""

from __future__ import annotations

from collections.abc import Sequence

from ganforge.outputs.comparison.table import Comparison, Section, shown


def markdown(comparison: Comparison) -> str:
    """One table per section; notes come first, because they list what is not comparable."""
    parts = ["".join(f"- {_plain(note)}\n" for note in comparison.notes)] if comparison.notes else []
    parts += [f"## {section.title}\n\n{_table(section, comparison.runs)}" for section in comparison.sections]
    return "\n".join(parts)


def _table(section: Section, runs: Sequence[str]) -> str:
    lines = [["", *runs]]
    lines += [[row.label, *(shown(cell) for cell in row.cells)] for row in section.rows]
    lines = [[_plain(text) for text in line] for line in lines]
    widths = [max(3, *(len(line[column]) for line in lines)) for column in range(len(runs) + 1)]
    rule = ["-" * widths[0], *(f"{'-' * (width - 1)}:" for width in widths[1:])]
    aligned = [[line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])] for line in lines]
    head, *rest = aligned
    return "".join(f"| {' | '.join(line)} |\n" for line in (head, rule, *rest))


def _plain(text: str) -> str:
    """On one line, with Markdown's special characters escaped."""
    for special in "\\|*`<":
        text = text.replace(special, "\\" + special)
    return " ".join(text.split())
