"""What a data set is handed while it is opened, for tests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from ganforge.api import Context, Dataset, Samples, Split, UserError

T = TypeVar("T")


def context(cache: Path, said: list[str] | None = None) -> Context:
    """Keeps what is said, and sees that the totals of progress bars are true."""

    def track(items: Iterable[T], total: int, what: str) -> Iterator[T]:
        steps = list(items)
        assert len(steps) == total
        return iter(steps)

    return Context(cache, (said if said is not None else []).append, track)


def opened(dataset: Dataset, cache: Path, split: Split = "train", said: list[str] | None = None) -> Samples:
    """The samples of `data`, held to what its `spec` promised before a file was touched."""
    spec = dataset.spec()
    samples = dataset.build(split, context(cache, said))
    assert tuple(samples.images.shape[1:]) == spec.shape
    assert (samples.labels is None) == (spec.labels.kind == "none")
    if samples.labels is not None:
        assert samples.labels.shape == (len(samples), spec.labels.width)
    return samples


def refused(dataset: Dataset, cache: Path, split: Split = "train") -> str:
    """The message with which opening `data` is refused."""
    with pytest.raises(UserError) as caught:
        dataset.build(split, context(cache))
    return str(caught.value)
