"""Files and connections that code opens, from Python's audit events (PEP 578)."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

NETWORK = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "urllib.Request")
_listening: list[list[tuple[str, str]]] = []
_hooked: list[bool] = []


@contextmanager
def audited() -> Iterator[list[tuple[str, str]]]:
    """The (event, subject) pairs of everything that is opened inside: `("open", PATH)`,
    `("socket.connect", ADDRESS)`. Files of Python's own installation are left out: imports read them."""
    if not _hooked:
        # A hook cannot be removed, so there is one, which does nothing outside of this context.
        sys.addaudithook(_hook)
        _hooked.append(True)
    found: list[tuple[str, str]] = []
    _listening.append(found)
    try:
        yield found
    finally:
        _listening.remove(found)


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not _listening:
        return
    if event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
        path = os.path.abspath(os.fsdecode(arguments[0]))
        if path.startswith(_installation()) or path.endswith((".py", ".pyc")):
            return
        for found in _listening:
            found.append(("open", path))
    elif event in NETWORK:
        where = arguments[-1] if event == "socket.connect" else arguments[0]
        for found in _listening:
            found.append((event, repr(where)))


def _installation() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    return tuple({*(paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")), "/proc", "/sys"})
