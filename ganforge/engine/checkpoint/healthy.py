"""The checkpoint that a rollback returns to."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from ganforge.api import UserError
from ganforge.engine.checkpoint.checkpoint import Tensors, complete, load
from ganforge.engine.checkpoint.manifest import Document


def load_last_healthy(folder: Path, say: Callable[[str], None]) -> tuple[Tensors, Document] | None:
    """The newest readable checkpoint that was written while the run was healthy; None without one."""
    for candidate in reversed(complete(folder)):
        try:
            _, state = load(candidate, groups=())
            if (state["health"] or {}).get("healthy_at") == state["images_seen"]:
                return load(candidate)
        except UserError as error:
            say(f"warning: {error}")
    return None


def remove_after(folder: Path, images_seen: int) -> None:
    """Removes the checkpoints of a future that a rollback has undone."""
    for newer in complete(folder):
        if int(newer.name) > images_seen:
            shutil.rmtree(newer)
