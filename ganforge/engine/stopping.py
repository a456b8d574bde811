"""Stopping at the next iteration: by signal or by the clock."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


class StopRequest:
    """While entered, the first signal asks for a clean stop; a second Ctrl-C stops at once."""

    def __init__(self, max_minutes: float | None = None) -> None:
        self.reason: str | None = None
        self.by_signal = False
        self.max_minutes = max_minutes
        self._deadline = None if max_minutes is None else time.monotonic() + 60.0 * max_minutes
        self._before: dict[int, Any] = {}

    def __bool__(self) -> bool:
        if self.reason is None and self._deadline is not None and time.monotonic() >= self._deadline:
            self.reason = f"the {self.max_minutes:g} minutes are over"
        return self.reason is not None

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._ask) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.by_signal and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.by_signal = True
        self.reason = f"{signal.Signals(number).name} received"
