"""Run by torchrun in two processes: trains the toy with a penalty, and compares the ranks."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import torch

from support.toys import toy_config, toy_loop


def main() -> None:
    config = toy_config(
        nets={"type": "dcgan", "width": 4, "condition_dim": 4, "d_norm": "layer"},
        terms=[{"type": "gradient_penalty"}, {"type": "r1", "every": 2}, {"type": "auxiliary_classifier"}],
        train={"batch_size": 8, "d_updates": 2, "accumulate": 2},
    )
    loop, _ = toy_loop(Path(tempfile.mkdtemp()), config)
    runtime = loop.game.runtime
    assert runtime.world == 2
    for _ in range(3):
        loop._iterate(measure=True)
    shares = runtime.accelerator.gather(loop.batches.indices(0)).view(2, -1)
    for role, player in loop.game.players.items():
        flat = torch.cat([parameter.detach().flatten() for parameter in player.network.parameters()])
        ranks = runtime.accelerator.gather(flat).view(2, -1)
        if runtime.is_main:
            same = torch.equal(ranks[0], ranks[1])
            sys.stdout.write(f"{role}: updates {player.updates}, ranks equal: {same}\n")
    if runtime.is_main:
        sys.stdout.write(f"shared samples: {len(set(shares[0].tolist()) & set(shares[1].tolist()))}\n")
    runtime.close()


if __name__ == "__main__":
    main()
