"""What a run file may hold at all, whatever its keys mean: little depth, numbers that machines have,
and text that can be written down again."""

from __future__ import annotations

from typing import Any

from ganforge.config.locate import Path
from ganforge.config.schema import Mistake

MOST_DEPTH = 16
"""Tables and arrays inside each other; components need four."""
INT64 = 2**63


def check_plain(document: dict[str, Any]) -> list[Mistake]:
    """What is wrong with the values as such. Walks with a list of its own: what is too deep for a
    check must not be too deep for this one."""
    mistakes: list[Mistake] = []
    waiting: list[tuple[Path, Any]] = [((), document)]
    while waiting:
        path, value = waiting.pop()
        if len(path) > MOST_DEPTH:
            mistakes.append(Mistake(path[:MOST_DEPTH], f"is nested more than {MOST_DEPTH} levels deep"))
        elif isinstance(value, dict):
            mistakes += [Mistake(path, "a key is not valid text") for key in value if not _is_text(key)]
            waiting += [((*path, key), inner) for key, inner in value.items() if _is_text(key)]
        elif isinstance(value, list):
            waiting += [((*path, index), inner) for index, inner in enumerate(value)]
        elif isinstance(value, int) and not -INT64 <= value < INT64:
            mistakes.append(Mistake(path, "is a whole number of more than 64 bits"))
        elif isinstance(value, str) and not _is_text(value):
            mistakes.append(Mistake(path, "is not valid text (it cannot be written as UTF-8)"))
    return mistakes


def _is_text(value: str) -> bool:
    """A command line may bring bytes that are no characters."""
    return not any("\ud800" <= letter <= "\udfff" for letter in value)
