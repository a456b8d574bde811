"""Random numbers for the samples of a batch, whichever process holds them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor

Rows = Callable[[int, torch.Generator], Tensor]
"""`draw(n, generator)`: random numbers for `n` samples, [n, ...]."""


class Stream(torch.Generator):
    """The random stream of one update in one process.

    As a plain generator it is the process's own. Through `rows` it draws per-sample numbers from `shared`,
    which has the same state in all processes.
    """

    rank: int = 0
    """This process's rank among `world`."""
    world: int = 1
    shared: torch.Generator

    @classmethod
    def of(cls, device: torch.device, rank: int, world: int) -> Self:
        """On that device, not yet seeded."""
        stream = cls(device)
        stream.rank, stream.world = rank, world
        stream.shared = stream if world == 1 else torch.Generator(device)
        return stream


def rows(rng: torch.Generator, n: int, draw: Rows) -> Tensor:
    """Random numbers for this process's `n` samples, [n, ...].

    Every process draws for the samples of all of them and keeps its own rows, so that the number of
    processes does not change a sample's numbers. Any generator other than a `Stream` is that of a single
    process.
    """
    if not isinstance(rng, Stream) or rng.world == 1:
        return draw(n, rng)
    return draw(n * rng.world, rng.shared)[rng.rank * n : (rng.rank + 1) * n]
