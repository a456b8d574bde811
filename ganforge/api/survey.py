"""What a data set finds where its files lie, before a run file names them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

LabelWish = Literal["auto", "none", "folder", "file"]
"""Where `ganforge new` takes labels from; auto = wherever there are any."""


@dataclass(frozen=True)
class Survey:
    """The inventory of a folder or file of data, from which `ganforge new` writes a run file."""

    images: int
    """How many there are to train on."""
    short_sides: tuple[int, int, int]
    """Smallest, median and largest length of an image's shorter side, in pixels."""
    keys: Mapping[str, Any]
    """Keys of `[data]` that read these data, without `type` and `image_size`."""
    facts: tuple[str, ...]
    """What a user should know of the data, one line each."""
    label_counts: Mapping[str, int] = field(default_factory=dict)
    """Label -> images that carry it; empty if there are no labels."""
