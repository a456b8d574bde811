"""Files of separated values as tables: whatever separates the values, and whatever blanks surround them."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from ganforge.api import UserError
from ganforge_datasets.image_match import nfc
from ganforge_datasets.label_reading import Value, Where

SEPARATORS = ",\t;|"
"""Blanks separate where none of these does, and all lines have as many words."""
EVIDENCE = 200
"""Rows that are tried to find out which column names images."""
HEADER = "should be 'file,label', or 'file' and the name of each label, once"


class Row(NamedTuple):
    """One line of a table, blanks around its cells removed."""

    cells: list[Value]
    where: Where


class Table(NamedTuple):
    """Rows of equal length under the names of the columns."""

    file: str
    line: int
    """Of the first line."""
    header: list[str]
    rows: list[Row]

    def column(self, index: int) -> list[Value]:
        return [row.cells[index] for row in self.rows]

    def without(self, *columns: int) -> Table:
        kept = [index for index in range(len(self.header)) if index not in columns]
        rows = [Row([row.cells[index] for index in kept], row.where) for row in self.rows]
        return self._replace(header=[self.header[index] for index in kept], rows=rows)


def read_csv(file: str, text: str) -> Table:
    lines = text.splitlines(keepends=True)
    start = 0
    while start < len(lines) and _is_no_header(lines[start]):
        start += 1
    if start == len(lines):
        raise UserError(f"{file}:1: {HEADER}; it is empty")
    quote = "'" if re.match(r"\s*'[^']*'\s*[,;|\t]\s*'", lines[start]) else '"'
    separator = _separator(lines[start:], quote)
    rest = [line.strip(" \r\n") + "\n" for line in lines[start:]] if separator == " " else lines[start:]
    found = _separated(file, "".join(rest), separator, quote, start)
    if not found:
        raise UserError(f"{file}:1: {HEADER}; it is empty")
    header, *rows = found
    width = len(header.cells)
    if width < 2 or len({*map(str, header.cells)}) < width:
        raise UserError(f"{header.where()}: {HEADER}; got '{lines[start].strip()[:80]}'")
    for row in rows:
        while len(row.cells) > width and row.cells[-1] == "":
            row.cells.pop()
        if len(row.cells) != width:
            raise UserError(f"{row.where()}: has {len(row.cells)} columns; the first line has {width}")
    return Table(file, start + 1, [str(cell) for cell in header.cells], rows)


def _is_no_header(line: str) -> bool:
    """An empty line, a comment, or what Excel takes for a hint."""
    comment = line.startswith("#") and not any(sign in line for sign in SEPARATORS)
    return comment or not line.strip() or re.fullmatch(r"sep=.\s*", line) is not None


def _separator(lines: Sequence[str], quote: str) -> str:
    """What separates the columns: the sign that cuts the first line into several cells, and most of the
    others into as many."""
    best, most = ",", -1
    for sign in SEPARATORS:
        widths = []
        for line in lines[: EVIDENCE + 1]:
            try:
                widths.append(_width(line, sign, quote))
            except csv.Error:
                widths.append(0)
        agreeing = sum(width == widths[0] for width in widths) if widths[0] > 1 else 0
        if agreeing > max(most, 0):
            best, most = sign, agreeing
    words = {len(line.split()) for line in lines[: EVIDENCE + 1] if line.strip()}
    return " " if most < 0 and len(words) == 1 and min(words) > 1 else best


def _width(line: str, sign: str, quote: str) -> int:
    """How many cells a line has if `sign` separates them."""
    return len(next(csv.reader([line], delimiter=sign, quotechar=quote, skipinitialspace=True), []))


def _separated(file: str, text: str, separator: str, quote: str, skipped: int) -> list[Row]:
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=separator,
        quotechar=quote,
        skipinitialspace=separator != "\t",
    )
    rows = []
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                stripped: list[Value] = [nfc(cell.strip()) for cell in cells]
                rows.append(Row(stripped, partial(str, f"{file}:{reader.line_num + skipped}")))
    except csv.Error as error:
        raise UserError(f"{file}:{reader.line_num + skipped}: is not CSV: {error}") from None
    return rows
