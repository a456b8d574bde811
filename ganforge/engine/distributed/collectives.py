"""Collective operations that are differentiable any number of times."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class Mean(torch.autograd.Function):
    """The mean over the processes. Each objective has weight 1 / world in the total, and each process's
    part weight 1 / world in the mean; so the gradient is the mean of the gradients."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone()
        torch.distributed.all_reduce(total)
        return total.div_(torch.distributed.get_world_size())

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        mean: Tensor = Mean.apply(*gradients)
        return mean


class Whole(torch.autograd.Function):
    """The rows of all processes. A row counts in every process's objective, so its gradient is their sum."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, rank: int, world: int) -> Tensor:
        ctx.rank, ctx.world = rank, world
        everyone = [torch.empty_like(x, memory_format=torch.contiguous_format) for _ in range(world)]
        torch.distributed.all_gather(everyone, x.contiguous())
        return torch.cat(everyone)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        mine: Tensor = SumOfMine.apply(*gradients, ctx.rank, ctx.world)
        return mine, None, None


class SumOfMine(torch.autograd.Function):
    """The adjoint of `Whole`: of [world N, ...], this process's rows [N, ...] summed over the processes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, rank: int, world: int) -> Tensor:
        ctx.rank, ctx.world = rank, world
        total = x.clone(memory_format=torch.contiguous_format)
        torch.distributed.all_reduce(total)
        return total.chunk(world)[rank].clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        whole: Tensor = Whole.apply(*gradients, ctx.rank, ctx.world)
        return whole, None, None
