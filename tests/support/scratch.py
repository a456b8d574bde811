"""A folder for what a module of tests makes when it is imported, where pytest's own are not to be had."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path


def scratch() -> Path:
    """A new folder, removed when this process ends."""
    folder = tempfile.mkdtemp(prefix="ganforge-tests-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)
