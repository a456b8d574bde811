"""Location of the cache of decoded data."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ganforge.api import Context


FRESH = "GANFORGE_FRESH_CACHE"
"""The environment variable by which `--fresh-cache` reaches all processes of a run."""


def data_context(say: Callable[[str], None]) -> Context:
    """What data sets are opened with."""
    # Here, because the cache's folder is asked for without torch.
    from ganforge.api import Context
    from ganforge.outputs.progress import track

    return Context(cache_folder(), say, track, fresh=os.environ.get(FRESH) == "1")


def ask_for_fresh_data() -> None:
    """From now on, this process and those that it starts take no decoded data from the cache."""
    os.environ[FRESH] = "1"


def cache_folder() -> Path:
    """The user's cache: `$XDG_CACHE_HOME/ganforge` or `~/.cache/ganforge`."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "ganforge"
