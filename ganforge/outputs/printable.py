"""Text for a terminal: names of files and labels may hold control characters, which move the cursor, change
the window's title, or show another text than is there."""

from __future__ import annotations

import io
import re

_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 and C1 but tab and line break
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # these change the direction of writing
    "\u2028\u2029\ud800-\udfff]"  # line separators, and halves of surrogate pairs
)
_BAR = re.compile("\r|\x1b\\[A")
"""What a progress bar moves the cursor with: to the start of the line, and up."""


def printable(text: str) -> str:
    """`text` with control characters written as escapes, `\\x1b`; tabs and line breaks stay."""
    return _UNSAFE.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


class Terminal(io.TextIOWrapper):
    """A text stream that shows control characters as escapes."""

    def write(self, text: str) -> int:
        super().write(printable(text))
        return len(text)


class TerminalWithBar(Terminal):
    """One on which a progress bar may move the cursor as well."""

    def write(self, text: str) -> int:
        start = 0
        for move in _BAR.finditer(text):
            super().write(text[start : move.start()])
            io.TextIOWrapper.write(self, move[0])
            start = move.end()
        super().write(text[start:])
        return len(text)
