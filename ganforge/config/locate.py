"""Line numbers of the keys in a TOML file.

The standard library's parser reports no positions, so the file is first split into statements: they end
at line breaks outside of strings and brackets. Each is then parsed on its own to find the keys that it
sets.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any

Path = tuple[str | int, ...]

MAX_PARTS = 32
"""Maximum parts of a dotted key; longer ones are rejected, as the parser takes minutes over thousands."""

_OPAQUE = re.compile(
    r'"""(?:\\.|[^\\]|\\\Z)*?(?:"{3,5}|\Z)'  # a closing """ may follow up to two more quotes
    r"|'''.*?(?:'{3,5}|\Z)"
    r'|"(?:\\.|[^"\\\n])*+"?'
    r"|'[^'\n]*+'?"
    r"|#[^\n]*+",
    re.DOTALL,
)
"""Strings and comments. An unterminated one ends with the text or the line, so that no text is scanned
twice."""


class Positions:
    """The keys of a valid TOML text, each with its line."""

    def __init__(self, text: str) -> None:
        self._first: dict[Path, int] = {}
        for line, path in _statements(text):
            # A header sets the parents, a later key the value itself: the first to reach a path counts.
            for depth in range(1, len(path) + 1):
                self._first.setdefault(path[:depth], line)

    def line(self, path: Path) -> int | None:
        """The line, counted from 1, of the statement that sets `path`, or of its closest parent.

        Array members count from 0, as in `("terms", 1, "type")`. None if not even the first key of the
        path exists.
        """
        for depth in range(len(path), 0, -1):
            if path[:depth] in self._first:
                return self._first[path[:depth]]
        return None


def overlong_key(text: str) -> int | None:
    """The line of the first key with more than `MAX_PARTS` parts; None if there is none. `text` need not be
    valid."""
    # Strings are replaced by one letter, comments removed, and line breaks kept.
    plain = _OPAQUE.sub(lambda found: "s" + "\n" * found[0].count("\n"), text)
    line = 1
    for piece in re.split(r"([=,\[\]{}\n])", plain):
        if piece.count(".") >= MAX_PARTS:
            return line
        line += piece == "\n"
    return None


def _statements(text: str) -> Iterator[tuple[int, Path]]:
    """(line, path) of each header and each key, in order."""
    header: Path = ()
    counts: dict[tuple[str, ...], int] = {}
    for line, source in _cut(text):
        statement = tomllib.loads(source)
        if not statement:
            continue
        if source.lstrip().startswith("["):
            header = _header(_keys(statement), source.lstrip().startswith("[["), counts)
            yield line, header
        else:
            for path in _leaves(statement):
                yield line, header + path


def _cut(text: str) -> Iterator[tuple[int, str]]:
    """(line, source) of each statement."""
    start, first, line, depth = 0, 1, 1, 0
    for found in re.finditer(rf"{_OPAQUE.pattern}|[\[\]{{}}\n]", text, re.DOTALL):
        token = found[0]
        line += token.count("\n")
        if token in ("[", "{"):
            depth += 1
        elif token in ("]", "}"):
            depth -= 1
        elif token == "\n" and depth == 0:
            yield first, text[start : found.end()]
            start, first = found.end(), line
    yield first, text[start:]


def _keys(statement: dict[str, Any]) -> tuple[str, ...]:
    """The dotted key of a header: {"a": {"b": {}}} -> ("a", "b")."""
    keys: list[str] = []
    inner: Any = statement
    while isinstance(inner, dict) and inner:
        key = next(iter(inner))
        keys.append(key)
        inner = inner[key]
    return tuple(keys)


def _header(keys: tuple[str, ...], array: bool, counts: dict[tuple[str, ...], int]) -> Path:
    """The header's path with the index of each array of tables along the way."""
    if array:
        counts[keys] = counts.get(keys, -1) + 1
    path: list[str | int] = []
    for depth, key in enumerate(keys, start=1):
        path.append(key)
        if keys[:depth] in counts:
            path.append(counts[keys[:depth]])
    return tuple(path)


def _leaves(table: dict[str, Any]) -> Iterator[Path]:
    """The paths that a `key = value` statement sets, including inline tables."""
    for key, value in table.items():
        yield (key,)
        if isinstance(value, dict):
            yield from ((key, *path) for path in _leaves(value))
