"""What is shown in the first seconds of a command, in which torch is imported."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

NOTICE = "loading torch ..."


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """Shows a notice on a terminal, unless torch is there already; it is erased at the end."""
    shown = sys.stderr.isatty() and "torch" not in sys.modules
    if shown:
        sys.stderr.write(NOTICE)
        sys.stderr.flush()
    try:
        yield
    finally:
        if shown:
            sys.stderr.write(f"\r{' ' * len(NOTICE)}\r")
            sys.stderr.flush()
