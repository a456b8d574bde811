"""Names with control characters: shown as escapes on every terminal, and no formula in a spreadsheet."""

from __future__ import annotations

import io

import pytest

from ganforge.outputs.comparison.as_csv import _no_formula
from ganforge.outputs.printable import Terminal, TerminalWithBar, printable
from ganforge.outputs.progress import Progress


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("caf\u00e9 \u732b\tx\ny", "caf\u00e9 \u732b\tx\ny"),
        ("\x1b]0;owned\x07", r"\x1b]0;owned\x07"),
        ("a\rb\x00\x7f\x9b2J", r"a\x0db\x00\x7f\x9b2J"),
        ("abc\u202egpj.exe", r"abc\u202egpj.exe"),
        ("\u2028\ud800\u2066", r"\u2028\ud800\u2066"),
    ],
)
def test_control_characters_are_shown(text: str, shown: str) -> None:
    assert printable(text) == shown
    file = io.BytesIO()
    stream = Terminal(file, encoding="utf-8", newline="")
    assert stream.write(text) == len(text)
    stream.flush()
    assert file.getvalue().decode() == shown


def test_a_bar_may_move_the_cursor_and_nothing_else() -> None:
    file = io.BytesIO()
    stream = TerminalWithBar(file, encoding="utf-8", newline="")
    stream.write("\r 5%|\x1b[A\x1b[2J")
    stream.flush()
    assert file.getvalue() == b"\r 5%|\x1b[A\\x1b[2J"


def test_progress_escapes_what_it_says() -> None:
    stream = io.StringIO()
    Progress(10, stream).say("data: a\x1b[31m.png")
    assert stream.getvalue() == "data: a\\x1b[31m.png\n"


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"), ("@x", "'@x"), ("+x", "'+x"), ("-x", "'-x"), ("\tx", "'\tx"),
        ("-0.5", "-0.5"), ("+1e3", "+1e3"), (-0.5, -0.5), (None, None), ("a=b", "a=b"), ("a\x1b", "a\\x1b"),
    ],
)  # fmt: skip
def test_a_cell_is_no_formula(cell: object, written: object) -> None:
    assert _no_formula(cell) == written
