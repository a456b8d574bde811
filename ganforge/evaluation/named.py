"""Several conditions by name, as users give them: a text, a dict, or a list of dicts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganforge.api import LabelSpec, Tree, UserError, did_you_mean
from ganforge.api.conditions import read_list
from ganforge.engine.random import generator_for
from ganforge.evaluation.conditions import images_of, vector

ENTRY = re.compile(r'(?:[^;"]|"(?:[^"]|"")*"|")+')
"""Up to the next semicolon outside of double quotes."""


def parsed(labels: LabelSpec, text: str) -> dict[str, str]:
    """`"label = 3; angle = 0.5, -1; image = edges.png"` -> the text for each name."""
    found: dict[str, str] = {}
    for entry in ENTRY.findall(text):
        if not entry.strip():
            continue
        name, equals, value = (part.strip() for part in entry.partition("="))
        if not equals:
            raise UserError(
                f"expected NAME=VALUE, got '{entry.strip()}'; the conditions are {', '.join(labels.parts)}"
            )
        if name in found:
            raise UserError(f"condition '{name}' is given twice")
        found[name] = value
    return found


def read_named(labels: LabelSpec, file: Path) -> dict[str, Tensor]:
    """A JSON list of objects: name -> rows [m, ...]; images are relative to the file."""
    try:
        return named_rows(labels, read_list(file), file.parent)
    except UserError as error:
        raise UserError(f"{file}: {error}" if str(file) not in str(error) else str(error)) from None


def named_rows(
    labels: LabelSpec, wishes: str | Path | Mapping[str, Any] | Sequence[Any], base: Path = Path()
) -> dict[str, Tensor]:
    """Name -> rows [m, ...] of the conditions that are given; `filled` adds the others.

    A folder of images stands for all of them, each with the other conditions of its entry. Raises
    `UserError` for what the data cannot have, and unless all entries name the same conditions.
    """
    if isinstance(wishes, str | Path):
        wishes = parsed(labels, str(wishes))
    several = [wishes] if isinstance(wishes, Mapping) else list(wishes)
    entries = []
    for position, wish in enumerate(several):
        try:
            entries.append(_entry(labels, wish, base))
        except UserError as error:
            where = f"condition {position} (counted from 0): " if len(several) > 1 else ""
            raise UserError(f"{where}{error}") from None
    names = set(entries[0]) if entries else set()
    for position, entry in enumerate(entries):
        if set(entry) != names:
            raise UserError(
                f"condition {position} (counted from 0): expected {', '.join(sorted(names))} as in the first "
                f"one, got {', '.join(sorted(entry))}"
            )
    return {name: torch.cat([entry[name] for entry in entries]) for name in labels.parts if name in names}


def filled(labels: LabelSpec, given: Tree, n: int, seed: int) -> Tree:
    """`given` with a variety of labels, `n` rows, for each condition that is not given.

    Raises `UserError` for a vector or an image that is not given.
    """
    if not labels.parts:
        return given
    found: dict[str, Any] = {}
    for place, (name, part) in enumerate(labels.parts.items(), start=1):
        if given is not None and name in given:
            found[name] = given[name]
        elif part.kind in ("one_of_k", "many_of_k"):
            # By its own permutation, so that two of them do not go in step.
            order = torch.randperm(n, generator=generator_for(seed, "conditions", place))
            found[name] = variety(part, n, seed)[order]
        else:
            raise UserError(
                f"condition '{name}' is {part.in_words()}; pass it with --condition \"{_example(labels)}\""
            )
    return found


def variety(labels: LabelSpec, n: int, seed: int) -> Tensor:
    """Labels [n, K] of those that the data can have: each of one of K in turn, others at random."""
    rows = torch.zeros(n, labels.width)
    rng = generator_for(seed, "conditions")
    for position, row in enumerate(rows):
        if labels.kind == "one_of_k":
            row[position % labels.width] = 1.0
        else:
            most = labels.most or labels.width
            count = int(torch.randint(1, most + 1, (), generator=rng))
            row[torch.randperm(labels.width, generator=rng)[:count]] = 1.0
    return rows


def _entry(labels: LabelSpec, wish: Any, base: Path) -> dict[str, Tensor]:
    """Name -> rows [m, ...] of one entry, m the same for all of them."""
    if not isinstance(wish, Mapping) or not wish:
        raise UserError(
            f"expected conditions by name ({', '.join(labels.parts)}), got {wish!r:.60}; for example "
            f"{_example(labels)}"
        )
    for name in wish:
        if name not in labels.parts:
            hint = did_you_mean(str(name), labels.parts)
            raise UserError(f"unknown condition '{name}'{hint} (conditions: {', '.join(labels.parts)})")
    found = {name: _part(name, labels.parts[name], each, base) for name, each in wish.items()}
    most = max(map(len, found.values()))
    for name, rows in found.items():
        if len(rows) not in (1, most):
            raise UserError(f"expected 1 or {most} of condition '{name}', got {len(rows)}")
    return {
        name: rows if len(rows) == most else rows.expand(most, *rows.shape[1:])
        for name, rows in found.items()
    }


def _part(name: str, part: LabelSpec, wish: Any, base: Path) -> Tensor:
    """The rows [m, ...] of one condition."""
    try:
        if isinstance(wish, Tensor):
            return given_rows(part, wish)
        if part.kind == "vector":
            return vector(part, wish)[None]
        if part.kind == "image":
            return images_of(part, wish, base)
        names = part.parse(wish) if isinstance(wish, str) else wish
        if not isinstance(names, Sequence) or not all(isinstance(each, str) for each in names):
            raise UserError(f"expected names of labels, got {wish!r:.60}")
        return part.encode(names)[None]
    except UserError as error:
        raise UserError(f"condition '{name}': {error}") from None


def given_rows(labels: LabelSpec, given: Tensor) -> Tensor:
    """A tensor for the generator, [...] or [m, ...], as rows. Raises `UserError` for any other shape."""
    rows = given.detach().to("cpu", torch.float32)
    rows = rows[None] if rows.ndim == len(labels.shape) else rows
    if not labels.shape or tuple(rows.shape[1:]) != labels.shape or not len(rows):
        wanted = f"a tensor [m, {', '.join(map(str, labels.shape))}]" if labels.shape else "none (no labels)"
        raise UserError(f"condition: expected {wanted}, got {list(given.shape)}")
    return rows


def _example(labels: LabelSpec) -> str:
    kinds = {"vector": "0.5, ...", "image": "FILE.png"}
    return "; ".join(f"{name}={kinds.get(part.kind) or part.names[0]}" for name, part in labels.parts.items())
