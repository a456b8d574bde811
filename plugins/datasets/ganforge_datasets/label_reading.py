"""What label files of every form have in common: labels of an image, and texts that are several labels."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from ganforge.api import LabelKind
from ganforge_datasets.image_match import nfc

Where = Callable[[], str]
"""Says `file:line`; only called for a message, because finding a line takes a while."""
Value = str | list[str]
"""A cell of a table: a text, or labels that the file gives as a list."""


_QUOTED = re.compile(r"""'[^']*'|"[^"]*\"""")


class Label(NamedTuple):
    """What the labels say of one image."""

    image: str
    names: list[str]
    where: Where


@dataclass
class Reading:
    """How a label file is to be read, and what was found in addition to its labels."""

    kind: LabelKind
    names: tuple[str, ...]
    """Of the run file; empty where they are asked for."""
    known: dict[str, Where] = field(default_factory=dict)
    """The labels that the file lists apart from those of its images."""
    said: list[str] = field(default_factory=list)

    def split(self, values: Iterable[Value]) -> list[list[str]]:
        """The labels of each of some texts that may hold several: `a|b`, `a;b`, `a, b` or `['a', 'b']`. One
        of the names of the run file is never taken apart."""
        values = list(values)
        texts = [value for value in values if isinstance(value, str)]
        separator = next((sign for sign in "|;," if any(self._can_split(text, sign) for text in texts)), "")
        return [self._split(value, separator) for value in values]

    def splits_bars(self, values: Iterable[Value]) -> bool:
        """Whether texts hold several labels without doubt: lists, or labels between bars."""
        return any(
            isinstance(value, list) or _listed(value) is not None or "|" in value.strip("|")
            for value in values
        )

    def _can_split(self, text: str, sign: str) -> bool:
        return sign in text and text not in self.names and _listed(text) is None

    def _split(self, value: Value, separator: str) -> list[str]:
        if isinstance(value, list):
            return _clean(value)
        if value in self.names:
            return [value]
        listed = _listed(value)
        if listed is not None:
            return _clean(listed)
        return _clean(value.split(separator) if separator else [value])


def _listed(text: str) -> list[str] | None:
    """The members of a list that was written as text, as Python writes it: `['a', 'b']`."""
    if not (text.startswith("[") and text.endswith("]")):
        return None
    members = _QUOTED.findall(text[1:-1])
    between = _QUOTED.sub("", text[1:-1]).replace(" ", "")
    return [member[1:-1] for member in members] if between == "," * max(0, len(members) - 1) else None


def _clean(names: Iterable[str]) -> list[str]:
    """Without blanks around them, empty ones and repetitions, in the form NFC."""
    return list(dict.fromkeys(nfc(name.strip()) for name in names if name.strip()))


def in_order_of_names(known: dict[str, Where]) -> dict[str, Where]:
    """Sorted: as numbers where all are whole numbers, else as texts."""
    numbers = all(name.isascii() and name.isdigit() and len(name) < 19 for name in known)
    return dict(sorted(known.items(), key=lambda item: (int(item[0]) if numbers else 0, item[0])))
