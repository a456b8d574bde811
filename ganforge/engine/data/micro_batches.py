"""A batch split into micro-batches, to save memory."""

from __future__ import annotations

from collections.abc import Iterator

from ganforge.engine.data.batches import Batch


def micro_batches(batch: Batch, parts: int) -> Iterator[Batch]:
    """`batch` in this many equal parts, each with its conditions."""
    if parts == 1:
        yield batch
        return
    nothing = [None] * parts
    own = nothing if batch.cond is None else batch.cond.chunk(parts)
    everyone = nothing if batch.conds is None else batch.conds.chunk(parts)
    for real, cond, conds in zip(batch.real.chunk(parts), own, everyone, strict=True):
        yield Batch(real, cond, conds)
