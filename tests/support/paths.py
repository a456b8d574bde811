"""Where things lie in the checkout."""

from __future__ import annotations

import os
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
ROOT = TESTS.parent
EXAMPLES = ROOT / "examples"
RUN_FILES = sorted(set(EXAMPLES.rglob("*.toml")) - set((EXAMPLES / "sweeps").rglob("*")))
"""The examples that `ganforge run` takes."""


def python_path() -> str:
    """`PYTHONPATH` of a process that imports from tests/: in front of what this process has."""
    return os.pathsep.join(filter(None, (str(TESTS), os.environ.get("PYTHONPATH"))))
