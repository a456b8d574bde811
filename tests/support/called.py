"""Counts how often functions are called, and calls them."""

from __future__ import annotations

from collections import Counter
from functools import wraps
from types import ModuleType
from typing import Any

import pytest


def count_calls(monkeypatch: pytest.MonkeyPatch, module: ModuleType, *names: str) -> Counter[str]:
    """From now on, the calls of `module`'s functions by name."""
    seen: Counter[str] = Counter()
    for name in names:
        monkeypatch.setattr(module, name, _counted(getattr(module, name), name, seen))
    return seen


def _counted(function: Any, name: str, seen: Counter[str]) -> Any:
    @wraps(function)
    def counted(*args: Any, **kwargs: Any) -> Any:
        seen[name] += 1
        return function(*args, **kwargs)

    return counted
