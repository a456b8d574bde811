"""Callbacks, one per file."""

from __future__ import annotations

from collections.abc import Iterable

from ganforge.api import Component, hookimpl
from ganforge_callbacks.ada import Ada
from ganforge_callbacks.augment import Augment
from ganforge_callbacks.diff_augment import DiffAugment
from ganforge_callbacks.history import History
from ganforge_callbacks.weight_clip import WeightClip


@hookimpl
def ganforge_components() -> Iterable[type[Component]]:
    return [Ada, Augment, DiffAugment, History, WeightClip]
