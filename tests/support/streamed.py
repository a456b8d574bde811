"""Images in a file, and the batches of them that are read as they are wanted or lie in memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ganforge.api import Samples
from ganforge.engine.data.batches import Batch, Batches
from ganforge_datasets.uint8_cache import cached

CPU = torch.device("cpu")
COUNT = 23
"""Divides by no size of a batch in here."""
SHAPE = (COUNT, 3, 4, 4)
NAME = "read ahead"


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """Each ends by itself, with what it reads; none idles."""
    yield
    for thread in threading.enumerate():
        if thread.name == NAME:
            thread.join(timeout=30)
            assert not thread.is_alive()


@pytest.fixture
def mapped(tmp_path: Path) -> Tensor:
    pixels = np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8)
    return torch.from_numpy(cached(tmp_path, "k", SHAPE, "noise", lambda: [pixels], lambda line: None))


def both(images: Tensor, **settings: Any) -> tuple[Batches, Batches]:
    """Streamed, and resident from a copy in memory."""
    labels = torch.eye(len(images), dtype=torch.uint8)
    found = []
    for data, where in (("streamed", images), ("resident", images.clone())):
        samples = Samples(where, labels, settings.get("mirror", False))
        rest = {"batch_size": 6, "seed": 3} | {k: v for k, v in settings.items() if k != "mirror"}
        found.append(Batches(samples, device=CPU, placement=data, **rest))  # type: ignore[arg-type]
    return found[0], found[1]


def same(one: Batch, other: Batch) -> bool:
    return all(
        a is b or (a is not None and b is not None and torch.equal(a, b))
        for a, b in zip(one, other, strict=True)
    )
