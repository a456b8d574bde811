"""ganforge: train any GAN from one validated file.

`load_run`, `train` and `check` are the Python API (docs/python.md). They are imported when first used:
`import ganforge` loads neither torch nor the command line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ganforge.facade.run import load_run
    from ganforge.facade.training import check, train

__version__ = "0.1.0"
__all__ = ["__version__", "check", "load_run", "train"]

_HOMES = {
    "load_run": "ganforge.facade.run",
    "train": "ganforge.facade.training",
    "check": "ganforge.facade.training",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'ganforge' has no attribute '{name}'")
    from importlib import import_module

    found = getattr(import_module(_HOMES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
