"""Mistakes -> `file:line: key: what is wrong, what was expected`, all of them at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ganforge.api import did_you_mean
from ganforge.config.origin import Origin
from ganforge.config.schema import Mistake

MAX_MISTAKES = 40
"""Maximum lines in one message; beyond, only their number is shown."""


def findings(error: ValidationError, schema: type[BaseModel]) -> list[Mistake]:
    """pydantic's errors in our words."""
    return [Mistake(tuple(each["loc"]), _explain(each, schema)) for each in error.errors(include_url=False)]


def report(mistakes: Iterable[Mistake], origin: Origin) -> str:
    """One line per mistake, in the order of the file."""
    lines: list[tuple[int, str]] = []
    for path, message in mistakes:
        dotted = f"{'.'.join(str(part) for part in path)}: " if path else ""
        lines.append((origin.positions.line(path) or 1, f"{origin.place(path)}: {dotted}{message}"))
    shown = [message for _, message in sorted(lines)[:MAX_MISTAKES]]
    if len(lines) > len(shown):
        shown.append(f"... and {len(lines) - len(shown):,} more mistakes")
    return "\n".join(shown)


def _explain(finding: ErrorDetails, schema: type[BaseModel]) -> str:
    path, problem = finding["loc"], finding["type"]
    if problem == "extra_forbidden":
        keys = _keys_beside(schema, path)
        known = f" (keys: {', '.join(keys)})" if keys else ""
        return f"unknown key '{path[-1]}'{did_you_mean(str(path[-1]), keys)}{known}"
    if problem == "missing":
        return "is missing"
    said = finding["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return f"{said[0].lower()}{said[1:]}, got {_shown(finding['input'])}"


def _keys_beside(schema: type[BaseModel], path: tuple[str | int, ...]) -> list[str]:
    """The keys of the table that contains the last key of `path`; none if it has no schema."""
    owner: Any = schema
    for part in path[:-1]:
        if isinstance(part, int):
            members = get_args(owner)
            owner = members[part] if part < len(members) else None
        elif isinstance(owner, type) and issubclass(owner, BaseModel):
            owner = owner.model_fields[part].annotation
    return list(owner.model_fields) if isinstance(owner, type) and issubclass(owner, BaseModel) else []


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
