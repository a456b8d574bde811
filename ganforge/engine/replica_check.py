"""Checks that all processes hold the same weights, as they must after the same updates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ganforge.api import UserError
from ganforge.engine.sampling.ema import MovingAverage
from ganforge.engine.update.game import Game

BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
"""Bytes of a number -> integers of that size."""
STEP = 1_000_003
"""Odd, so that no power of it vanishes modulo 2**64."""


@torch.no_grad()
def checksum(tensors: Sequence[Tensor]) -> Tensor:
    """An int64 scalar of their bits and places, on their device."""
    total = torch.zeros((), dtype=torch.int64, device=tensors[0].device)
    for parameter in tensors:
        bits = parameter.detach().flatten().view(BITS[parameter.element_size()]).to(torch.int64)
        odd = 2 * torch.arange(len(bits), device=bits.device) + 1
        # Wraps around modulo 2**64 on purpose.
        total = total * STEP + (bits * odd).sum()
    return total


def check_agreement(game: Game, averages: Mapping[str, MovingAverage], images_seen: int) -> None:
    """Raises `UserError`, in all processes, where the weights of a network, or what components remember,
    differ from the main process's. To be called by all of them.

    Buffers are left out: BatchNorm's statistics are each process's own, and train no weight.
    """
    runtime = game.runtime
    if runtime.world == 1:
        return
    held: dict[str, Sequence[Tensor]] = {
        f"network_{role}": player.parameters for role, player in game.players.items()
    }
    held |= {group: list(average.network.parameters()) for group, average in averages.items()}
    live = game.live
    held |= {f"memory of {name}": [value] for name, value in live.memory.items() if name not in live.own}
    sums = runtime.gather(torch.stack([checksum(tensors) for tensors in held.values()])).tolist()
    found = [
        f"{name} in process {rank} ({runtime.hosts[rank]})"
        for place, name in enumerate(held)
        for rank in range(1, runtime.world)
        if sums[rank][place] != sums[0][place]
    ]
    if found:
        raise UserError(
            f"after {images_seen:,} images the weights have diverged from rank 0 ({runtime.hosts[0]}): "
            f"{', '.join(found)}. This checkpoint was not written; the previous one is intact, and "
            "'ganforge resume' continues from there. If it happens again: a callback or an architecture "
            "behaves differently in one process, or a machine is faulty"
        )
