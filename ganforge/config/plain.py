"""Limits of a run file's values, whatever the keys mean: bounded depth, numbers that machines represent,
and text that can be written back."""

from __future__ import annotations

from typing import Any

from ganforge.config.locate import Path
from ganforge.config.schema import Mistake

MAX_DEPTH = 16
"""Maximum nesting of tables and arrays; components need four."""
INT64 = 2**63


def check_plain(document: dict[str, Any]) -> list[Mistake]:
    """Mistakes in the raw values. Iterates with a stack of its own: nesting too deep for recursion must not
    be too deep for this check."""
    mistakes: list[Mistake] = []
    waiting: list[tuple[Path, Any]] = [((), document)]
    while waiting:
        path, value = waiting.pop()
        if len(path) > MAX_DEPTH:
            mistakes.append(Mistake(path[:MAX_DEPTH], f"is nested more than {MAX_DEPTH} levels deep"))
        elif isinstance(value, dict):
            mistakes += [
                Mistake(path, "has a key that is not valid text") for key in value if not _is_text(key)
            ]
            waiting += [((*path, key), inner) for key, inner in value.items() if _is_text(key)]
        elif isinstance(value, list):
            waiting += [((*path, index), inner) for index, inner in enumerate(value)]
        elif isinstance(value, int) and not -INT64 <= value < INT64:
            mistakes.append(Mistake(path, "expected a whole number of at most 64 bits"))
        elif isinstance(value, str) and not _is_text(value):
            mistakes.append(Mistake(path, "is not valid text (it cannot be written as UTF-8)"))
    return mistakes


def _is_text(value: str) -> bool:
    """A command line may contain bytes that are not characters."""
    return not any("\ud800" <= letter <= "\udfff" for letter in value)
