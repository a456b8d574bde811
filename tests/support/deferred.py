"""Optional and heavy packages, imported when a test first uses them and not when tests are collected."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

import pytest


class Deferred:
    """Stands for the module `name`: its attributes are looked up in the module, imported then."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        # Pytest asks every global of a test file whether it is a fixture.
        if attribute.startswith("_"):
            raise AttributeError(attribute)
        return getattr(importlib.import_module(self._name), attribute)


def deferred(name: str, reason: str | None = None) -> Any:
    """The module `name`. Where its package is not installed, the calling test file is skipped."""
    package = name.partition(".")[0]
    if importlib.util.find_spec(package) is None:
        pytest.skip(reason or f"{package} is not installed", allow_module_level=True)
    return Deferred(name)
