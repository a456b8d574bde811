"""Where in a TOML file a key stands.

The standard library's parser gives no positions, so the file is cut into statements by the
parser itself: lines are gathered until they parse on their own. Each statement then tells which
keys it sets.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

Path = tuple[str | int, ...]


def locate(text: str, path: Path) -> int | None:
    """The line, counted from 1, of the statement that sets `path`, or of its closest parent.

    `text` is valid TOML. Array members count from 0, as in `("terms", 1, "type")`. None where
    not even the first key of the path is there.
    """
    best: tuple[int, int] | None = None
    for line, found in _statements(text):
        depth = _common(found, path)
        # The first statement that reaches deepest: a header names a parent, a later key the thing.
        if depth and (best is None or depth > best[0]):
            best = (depth, line)
    return best[1] if best else None


def _common(found: Path, path: Path) -> int:
    """Leading keys that both share."""
    shared = 0
    for a, b in zip(found, path, strict=False):
        if a != b:
            break
        shared += 1
    return shared


def _statements(text: str) -> Iterator[tuple[int, Path]]:
    """(line, path) of each header and each key in turn."""
    header: Path = ()
    counts: dict[tuple[str, ...], int] = {}
    gathered, start = "", 1
    for number, line in enumerate(text.splitlines(), start=1):
        if not gathered:
            start = number
        gathered += line + "\n"
        try:
            statement = tomllib.loads(gathered)
        except tomllib.TOMLDecodeError:
            continue
        gathered, first = "", line.lstrip()
        if not statement:
            continue
        if first.startswith("[") and start == number:
            header = _header(_keys(statement), first.startswith("[["), counts)
            yield start, header
        else:
            for path in _leaves(statement):
                yield start, header + path


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
    """The header's path with the index of each array of tables on its way filled in."""
    if array:
        counts[keys] = counts.get(keys, -1) + 1
    path: list[str | int] = []
    for depth, key in enumerate(keys, start=1):
        path.append(key)
        if keys[:depth] in counts:
            path.append(counts[keys[:depth]])
    return tuple(path)


def _leaves(table: dict[str, Any]) -> Iterator[Path]:
    """The paths that a `key = value` statement sets, inline tables included."""
    for key, value in table.items():
        yield (key,)
        if isinstance(value, dict):
            yield from ((key, *path) for path in _leaves(value))
