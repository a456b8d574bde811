"""Differences between the settings a run was started with and those it is resumed with."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from ganforge.config.load import dump
from ganforge.config.schema import RunConfig

MAY_CHANGE = (
    "train.images",
    "train.resume",
    "train.device",
    "train.placement",
    "train.timeout_s",
    "train.silence",
    "logging",
    "wandb",
    "trackers",
    "health",
)
"""What a resumed run may change: nothing that affects how weights are updated. In addition, the paths of
files and folders."""

ABSENT = "(absent)"


@dataclass(frozen=True)
class Change:
    """A key whose value differs; values as JSON."""

    key: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.key}: {self.old} -> {self.new}"


def within(key: str, names: Collection[str]) -> bool:
    """Whether `key` is one of `names`, or below one."""
    return any(key == name or key.startswith(f"{name}.") for name in names)


def changes(old: RunConfig, new: RunConfig) -> list[Change]:
    """The keys that differ but may not, in the order of the file. If a component was replaced by another,
    only its name."""
    was, now = dict(leaves(dump(old))), dict(leaves(dump(new)))
    moved = set(paths_in(old)) & set(paths_in(new))
    found: list[Change] = []
    for key in dict.fromkeys([*was, *now]):
        if was.get(key) == now.get(key) or key in moved or within(key, MAY_CHANGE):
            continue
        kind = f"{key.rpartition('.')[0]}.type"
        if key != kind and kind in {**was, **now} and was.get(kind) != now.get(kind):
            continue
        found.append(Change(key, was.get(key, ABSENT), now.get(key, ABSENT)))
    return found


def leaves(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """The values in a dumped config as (dotted key, value as JSON); for a table in an array, its index is
    part of the key."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, f"{key}.{name}" if key else name)
    elif isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
        for position, inner in enumerate(value):
            yield from leaves(inner, f"{key}.{position}")
    elif value != []:
        yield key, json.dumps(value)


def paths_in(value: Any, key: str = "") -> Iterator[str]:
    """The keys that name a file or folder."""
    if isinstance(value, Path):
        yield key
    elif isinstance(value, BaseModel):
        for name, inner in value:
            yield from paths_in(inner, f"{key}.{name}" if key else name)
    elif isinstance(value, tuple):
        for position, inner in enumerate(value):
            yield from paths_in(inner, f"{key}.{position}")
