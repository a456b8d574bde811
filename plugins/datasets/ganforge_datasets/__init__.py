"""Data sets that come with ganforge."""

from __future__ import annotations

from collections.abc import Iterable

from ganforge.api import Component, hookimpl
from ganforge_datasets.iclevr import ICLEVR


@hookimpl
def ganforge_components() -> Iterable[type[Component]]:
    return [ICLEVR]
