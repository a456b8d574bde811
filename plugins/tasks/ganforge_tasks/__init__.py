"""Tasks, one per file: who plays, and what is compared with what."""

from __future__ import annotations

from collections.abc import Iterable

from ganforge.api import Component, hookimpl
from ganforge_tasks.generate import Generate


@hookimpl
def ganforge_components() -> Iterable[type[Component]]:
    return [Generate]
