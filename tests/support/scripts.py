"""The scripts of examples/, imported as they import each other."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

from support.paths import EXAMPLES


def script(name: str) -> ModuleType:
    """The module examples/<name>.py."""
    sys.path.insert(0, str(EXAMPLES))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(EXAMPLES))
