"""The table of methods says what is so: its files are there, as long as it says, and as many."""

from __future__ import annotations

import re

from support.paths import ROOT

PAGE = ROOT / "docs" / "methods.md"


def rows() -> list[list[str]]:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


def test_the_page_counts_its_methods() -> None:
    counts = re.search(r"Which of (\d+) .*? a run file expresses: (\d+)\.", PAGE.read_text(), re.DOTALL)
    assert counts
    assert (len(rows()), sum(bool(row[1]) for row in rows())) == (int(counts[1]), int(counts[2]))


def test_each_file_is_there_and_as_long_as_it_says() -> None:
    for method, file, lines, result, left_out in rows():
        if not file:
            assert (lines, result) == ("", "") and left_out, method
            continue
        target = re.search(r"\(([^)]+)\)$", file)
        assert target, method
        path = (PAGE.parent / target[1]).resolve()
        assert len(path.read_text().splitlines()) == int(lines), method
        assert result, method
