"""Refusals of components, with the place in the run file that they are about.

A value that is wrong by itself is found when the file is validated. What does not fit together is found by
the components, which know their settings but not the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any

from pydantic import BaseModel

from ganforge.api import Component, UserError
from ganforge.components.faults import KIND_NOUNS, ComponentFault
from ganforge.config.locate import Path
from ganforge.config.schema import RunConfig

_KEY = re.compile(r"\b[a-z_]+(?:\.[a-z_0-9]+)+\b")
"""`train.batch_size`, `terms.0.weight`; of two keys in one message the first counts."""


class located:
    """`with located(config): ...`: a refusal inside begins with the place in the file that it is about.

    A refusal that is about no key and no component stays as it is, and so does a component's fault: no
    line of the file is wrong.
    """

    __slots__ = ("config",)

    def __init__(self, config: RunConfig) -> None:
        self.config = config

    def __enter__(self) -> None:
        return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        origin = self.config.origin
        if origin is None or not isinstance(error, UserError) or isinstance(error, ComponentFault):
            return
        lines = str(error).split("\n")
        for index, line in enumerate(lines):
            path = _path(self.config, line, error.component if index == 0 else None)
            if path is None or not origin.has(path):
                # What follows belongs to this line, such as a list of keys.
                break
            lines[index] = f"{origin.place(path)}: {line}"
        error.args = ("\n".join(lines),)


def _path(config: RunConfig, line: str, component: object) -> Path | None:
    """What a line of a refusal is about: a key that it names, within the component that it is about if there
    is one; or that component; or the first component that it names."""
    parts = dict(_components(config))
    named = sorted(_named(parts, line))
    own = next((path for path, part in parts.items() if part is component), None)
    # The innermost of `task 'cycle': nets 'unet': ...`
    innermost = max((start for start, _, colon in named if colon), default=None)
    subjects = [path for start, path, _ in named if start == innermost]
    if subjects and own not in subjects:
        own = subjects[0]
    for found in _KEY.findall(line):
        path = tuple(int(part) if part.isdigit() else part for part in found.split("."))
        if path[0] in type(config).model_fields and (own is None or path[: len(own)] == own):
            return path
    return own or next((path for _, path, _ in named), None)


def _named(parts: Mapping[Path, Component], line: str) -> Iterator[tuple[int, Path, bool]]:
    """(position, path, whether a colon follows) of each component that a line names."""
    for path, part in parts.items():
        for noun in {part.kind, KIND_NOUNS[part.kind]}:
            name = f"{noun} '{part.type_name()}'"
            start = line.find(name)
            if start >= 0:
                yield start, path, line.startswith(": ", start + len(name))


def _components(value: Any, path: Path = ()) -> Iterator[tuple[Path, Component]]:
    """Every component of a config with its path, the outer ones first."""
    if isinstance(value, Component):
        yield path, value
    if isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _components(getattr(value, name), (*path, name))
    elif isinstance(value, tuple):
        for index, part in enumerate(value):
            yield from _components(part, (*path, index))
