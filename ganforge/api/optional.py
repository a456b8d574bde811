"""Packages that only some features need."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from ganforge.api.errors import UserError


def is_installed(package: str) -> bool:
    """Whether it can be imported; it is not, which may take seconds."""
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False


def need(module: str, what: str) -> Any:
    """The module, imported now. Raises `UserError` if its package is not installed; `what` needs it."""
    package = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != package:
            raise
        raise UserError(
            f"{what} needs {package}, which is not installed; install it with: pip install {package}"
        ) from None
