"""Processes that share a batch, as threads: each layer that asks for the whole batch meets the others."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import Tensor, nn

from ganforge.api import WholeBatch

Result = TypeVar("Result")


def in_shares(network: nn.Module, world: int, work: Callable[[nn.Module, int], Result]) -> list[Result]:
    """`work(copy of the network, rank)` of each process; no gradient passes from one to the other."""
    barrier = threading.Barrier(world, timeout=30)
    shown: list[Tensor] = [torch.empty(0)] * world

    def gathered(rank: int, x: Tensor) -> Tensor:
        shown[rank] = x
        barrier.wait()
        whole = torch.cat(shown)
        barrier.wait()
        return whole

    def process(rank: int) -> Result:
        mine = copy.deepcopy(network)
        shared = torch.Generator().manual_seed(0)
        for module in mine.modules():
            if isinstance(module, WholeBatch):
                module.join(
                    rank,
                    world,
                    shared,
                    lambda x: gathered(rank, x),
                    lambda x: gathered(rank, x[None]).mean(0),
                )
        try:
            return work(mine, rank)
        except BaseException:
            barrier.abort()
            raise

    with ThreadPoolExecutor(world) as pool:
        return [job.result() for job in [pool.submit(process, rank) for rank in range(world)]]
