"""What an export needs besides ganforge itself, imported when first needed."""

from __future__ import annotations

import importlib
from types import ModuleType

from ganforge.api import UserError

EXPORT = ("onnx", "onnxscript", "onnxruntime")
"""The packages of the extra `export`."""


def need_onnx() -> None:
    """Raises `UserError` with what to install, if one of the packages of the extra is missing."""
    missing = [name for name in EXPORT if _imported(name) is None]
    if missing:
        raise UserError(
            f"exporting to ONNX needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not "
            "installed; type: pip install 'ganforge[export]'"
        )


def _imported(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None
