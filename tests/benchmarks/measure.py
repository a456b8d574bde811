"""Ways timed side by side: in turns, so that a machine that slows down slows all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch

from benchmarks.bound import synchronize
from benchmarks.loops import Way

WARM_UP = 3
"""Iterations before the first one that counts, at least ..."""
WARM_UP_S = 0.5
"""... and for at least as long."""


Timed = Callable[[int], float]
"""Number of iterations -> seconds that each of them took."""


class Spread(NamedTuple):
    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(statistics.median(values), min(values), max(values))


def timed(way: Way, device: torch.device) -> Timed:
    """Stretches of `way` in this process."""

    def stretch(iterations: int) -> float:
        synchronize(device)
        start = time.perf_counter()
        for _ in range(iterations):
            way.iterate()
        way.synchronize()
        synchronize(device)
        return (time.perf_counter() - start) / iterations

    return stretch


def alternate(ways: Mapping[str, Timed], seconds: float, rounds: int) -> dict[str, list[float]]:
    """Seconds per iteration of each loop in each round. Each way gets about `seconds` in all, and at
    least an iteration a round; who begins changes from round to round."""
    lengths = {name: _length(way, seconds / rounds) for name, way in ways.items()}
    times: dict[str, list[float]] = {name: [] for name in ways}
    names = list(ways)
    for turn in range(rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            times[name].append(ways[name](lengths[name]))
    return times


def ratios(above: Sequence[float], below: Sequence[float]) -> Spread:
    """How many times as fast the way with the times `above` is, round by round."""
    return Spread.of([theirs / mine for mine, theirs in zip(above, below, strict=True)])


def _length(way: Timed, seconds: float) -> int:
    """Warms up; then how many iterations last about that long."""
    began, done = time.perf_counter(), 0
    while done < WARM_UP or time.perf_counter() - began < WARM_UP_S:
        last = way(1)
        done += 1
    return max(1, round(seconds / last))
