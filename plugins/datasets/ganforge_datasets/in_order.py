"""Work done by threads, given out in its order, with little of it in memory at any time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def in_order(work: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[R]:
    """`work(item)` for each of `items`, by `workers` threads, of which none is more than 2 `workers` items
    ahead of whoever takes the results. Raises the first error of `work`."""
    waiting: deque[Future[R]] = deque()
    # Threads, because what takes the time here runs outside of the interpreter's lock.
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) == 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
