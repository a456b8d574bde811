"""Checks that all processes hold the same weights, as they must after the same updates."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ganforge.api import UserError
from ganforge.engine.sampling.ema import MovingAverage
from ganforge.engine.update.game import Game

BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
"""Bytes of a number -> integers of that size."""
STEP = 1_000_003
"""Odd, so that no power of it vanishes modulo 2**64."""


@torch.no_grad()
def checksum(network: nn.Module) -> Tensor:
    """A checksum of the parameters' bits and positions, an int64 scalar on their device.

    Buffers are excluded: BatchNorm's statistics are each process's own, and train no weight.
    """
    total = torch.zeros((), dtype=torch.int64, device=next(network.parameters()).device)
    for parameter in network.parameters():
        bits = parameter.detach().flatten().view(BITS[parameter.element_size()]).to(torch.int64)
        odd = 2 * torch.arange(len(bits), device=bits.device) + 1
        # Wraps around modulo 2**64 on purpose.
        total = total * STEP + (bits * odd).sum()
    return total


def check_agreement(game: Game, average: MovingAverage | None, images_seen: int) -> None:
    """Raises `UserError`, in all processes, if a network's weights differ from the main process's. To be
    called by all of them."""
    runtime = game.runtime
    if runtime.world == 1:
        return
    networks = {f"network_{role}": player.network for role, player in game.players.items()}
    if average is not None:
        networks["generator"] = average.network
    sums = runtime.gather(torch.stack([checksum(network) for network in networks.values()])).tolist()
    found = [
        f"{name} in process {rank} ({runtime.hosts[rank]})"
        for place, name in enumerate(networks)
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
