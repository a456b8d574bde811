"""A layer's view of the samples that other processes have.

Several processes share a batch. A layer that draws random numbers for each sample, or computes something
over several samples, has a `WholeBatch` as a submodule and asks it: then a run in several processes computes
what a run in one does.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

Draws = Callable[[int, torch.Generator | None], Tensor]
"""Random numbers for n samples, [n, ...], by a generator (None: torch's default one)."""


class WholeBatch(nn.Module):
    """The samples of all processes, in the order of their ranks. As built, and in a copy, those of one
    process; training joins it to the others.

    Each method is to be called by all processes in the same order, thus in training only: samples and metrics
    are made of a network in evaluation, at times by one process alone.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rank: int = 0
        self.world: int = 1
        self._rng: torch.Generator | None = None
        self._gather: Callable[[Tensor], Tensor] = _same
        self._mean: Callable[[Tensor], Tensor] = _same

    def join(
        self,
        rank: int,
        world: int,
        rng: torch.Generator,
        gather: Callable[[Tensor], Tensor],
        mean: Callable[[Tensor], Tensor],
    ) -> None:
        """`rng` has the same state in all processes; `gather` gives [N, ...] of all of them as
        [world N, ...], and `mean` their mean, both differentiable any number of times."""
        self.rank, self.world = rank, world
        self._rng, self._gather, self._mean = rng, gather, mean

    def leave(self) -> None:
        """One process's samples are the whole batch again."""
        self.rank, self.world, self._rng, self._gather, self._mean = 0, 1, None, _same, _same

    def rows(self, n: int, draw: Draws) -> Tensor:
        """Random numbers for this process's `n` samples, [n, ...]: drawn for those of all processes, so that
        the number of processes does not change a sample's."""
        if self.world == 1:
            return draw(n, None)
        return self.mine(draw(n * self.world, self._rng))

    def gather(self, x: Tensor) -> Tensor:
        """x [N, ...] of all processes, [world N, ...]; a gradient reaches the process that has the sample."""
        return self._gather(x)

    def mine(self, x: Tensor) -> Tensor:
        """This process's rows of x [world N, ...]."""
        n = len(x) // self.world
        return x[self.rank * n : (self.rank + 1) * n]

    def mean(self, x: Tensor) -> Tensor:
        """The mean of x over the processes."""
        return self._mean(x)

    def __deepcopy__(self, memo: object) -> WholeBatch:
        return WholeBatch()


def _same(x: Tensor) -> Tensor:
    return x
