"""Stopping after the current iteration: by signal or by the clock."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any

from ganforge.engine.distributed.hangup import is_ignored, leave_lost_terminal

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)
OTHER_PROCESS = "another process of the run was asked to stop"


AGAIN = "a second Ctrl-C stops at once and loses what was trained since the last one"


class Interrupted(KeyboardInterrupt):
    """A stop was requested where waiting for the end of an iteration would take too long."""


class StopRequest:
    """While entered, the first signal requests a clean stop; a second Ctrl-C stops at once. SIGHUP stays
    ignored where it was, as under `nohup`."""

    def __init__(self, max_minutes: float | None = None) -> None:
        self.reason: str | None = None
        self.by_signal = False
        self._signalled = False
        self.max_minutes = max_minutes
        self._deadline = None if max_minutes is None else time.monotonic() + 60.0 * max_minutes
        self._before: dict[int, Any] = {}
        self._cutting = False

    def __bool__(self) -> bool:
        if self.reason is None and self._deadline is not None and time.monotonic() >= self._deadline:
            self.reason = f"--max-minutes {self.max_minutes:g} reached"
        return self.reason is not None

    def adopt(self, by_signal: bool) -> None:
        """Another process was asked to stop, so this one is, too."""
        self.by_signal = self.by_signal or by_signal
        self.reason = self.reason or OTHER_PROCESS

    @contextlib.contextmanager
    def cut_short(self) -> Iterator[None]:
        """Inside, a signal raises `Interrupted` immediately, as does one received before. The clock does
        not: a run of a few minutes would never get past opening its data."""
        self._cutting = True
        try:
            if self.by_signal:
                raise Interrupted
            yield
        finally:
            self._cutting = False

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            signals = [number for number in SIGNALS if number != signal.SIGHUP or not is_ignored()]
            self._before = {number: signal.signal(number, self._ask) for number in signals}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            leave_lost_terminal()
        if self._signalled and number == signal.SIGINT:
            raise KeyboardInterrupt
        first, self._signalled, self.by_signal = not self._signalled, True, True
        self.reason = f"{signal.Signals(number).name} received"
        if self._cutting:
            raise Interrupted
        if first and os.environ.get("RANK", "0") == "0":
            _answer(self.reason)


def _answer(reason: str) -> None:
    """At once, because an iteration may take seconds. Not through `sys.stderr`, which may be in the middle of
    a write when the signal comes."""
    with contextlib.suppress(OSError):
        os.write(2, f"\n{reason}: stopping after this iteration, with a checkpoint; {AGAIN}\n".encode())
