"""Stragglers: how long each process computes by itself, and which one all the others wait for."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

import torch

SLOW = 1.5
"""A process that takes this many times as long as the median one is a straggler ..."""
PATIENCE = 3
"""... if it does so in this many consecutive rows of the log."""
MEASURED = 64
"""Iterations of each row that are measured, the first ones: a CUDA event is not free."""


class WorkTimer:
    """The time of this process's own work, from `start` to `stop`, by iteration.

    On a GPU it is the device's time, read only on request: a host clock would measure how fast work
    is queued.
    """

    def __init__(self, device: torch.device) -> None:
        self._on_gpu = device.type == "cuda"
        self._iterations = 0
        self._began = 0.0
        self._seconds = 0.0
        self._first: torch.cuda.Event | None = None
        self._events: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []

    def iteration(self) -> None:
        """Starts an iteration."""
        self._iterations += 1
        self.start()

    def start(self) -> None:
        self._began = time.perf_counter()
        self._first = _event() if self._on_gpu and self._iterations <= MEASURED else None

    def stop(self) -> None:
        if self._first is not None:
            self._events.append((self._first, _event()))
            self._first = None
        elif self._iterations <= MEASURED:
            self._seconds += time.perf_counter() - self._began

    def take(self) -> float:
        """Mean milliseconds per iteration since the last `take`, which resets the measurement."""
        if self._events:
            self._events[-1][1].synchronize()
        total = 1000 * self._seconds + sum(float(a.elapsed_time(b)) for a, b in self._events)
        mean = total / max(1, min(self._iterations, MEASURED))
        self._iterations, self._seconds, self._events = 0, 0.0, []
        return mean


def _event() -> torch.cuda.Event:
    new: Callable[..., torch.cuda.Event] = torch.cuda.Event
    event = new(enable_timing=True)
    event.record()
    return event


class Stragglers:
    """Monitors the processes' times, row after row."""

    def __init__(self) -> None:
        self._rows: dict[int, int] = {}
        self._named: set[int] = set()

    def find(self, times: Sequence[float]) -> list[int]:
        """The processes that have now been slow for `PATIENCE` rows; each is reported once."""
        median = statistics.median_low(times)
        for rank, mine in enumerate(times):
            self._rows[rank] = self._rows.get(rank, 0) + 1 if mine > SLOW * median else 0
        found = [rank for rank, rows in self._rows.items() if rows >= PATIENCE and rank not in self._named]
        self._named.update(found)
        return found
