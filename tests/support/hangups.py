"""How processes that are started now take SIGHUP, whatever the tests themselves were started under (nohup)."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def hangups(handler: signal.Handlers) -> Iterator[None]:
    """SIG_DFL, or SIG_IGN, which children inherit."""
    before = signal.signal(signal.SIGHUP, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)
