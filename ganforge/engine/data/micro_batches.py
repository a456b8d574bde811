"""A batch split into micro-batches, to save memory."""

from __future__ import annotations

from collections.abc import Iterator

from ganforge.api import Tree, mapped
from ganforge.engine.data.batches import Batch


def micro_batches(batch: Batch, parts: int) -> Iterator[Batch]:
    """`batch` in this many equal parts, each with its conditions."""
    if parts == 1:
        yield batch
        return
    reals = batch.real.chunk(parts)
    for part, real in enumerate(reals):
        cond, conds = (_chunk(tree, parts, part) for tree in (batch.cond, batch.conds))
        yield Batch(real, cond, conds)


def _chunk(tree: Tree, parts: int, part: int) -> Tree:
    return mapped(lambda each: each.chunk(parts)[part], tree)
