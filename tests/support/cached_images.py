"""A cache entry of a few small images, and who makes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from ganforge_datasets.uint8_cache import cached

SHAPE = (5, 3, 4, 4)
WHOLE = np.arange(240, dtype=np.uint8).reshape(SHAPE)


class Maker:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> Iterator[np.ndarray]:
        self.calls += 1
        # The last piece is shorter than the others.
        yield from np.split(WHOLE, [2, 4])


def get(folder: Path, make: Callable[[], Iterable[np.ndarray]], said: list[str] | None = None) -> np.ndarray:
    return cached(folder, "k", SHAPE, "test images", make, (said if said is not None else []).append)
