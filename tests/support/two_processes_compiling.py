"""Run by torchrun in two processes: one form of the networks for both, whatever each of them finds."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

import ganforge.engine.acceleration.compile_trial as module
from support.scratch import scratch
from support.toys import toy_config, toy_loop


def compiled(fails: bool) -> Callable[[nn.Module], Callable[..., Any]]:
    """In the compiler's place."""

    def forward(network: nn.Module) -> Callable[..., Any]:
        def run(*inputs: Any) -> Any:
            if fails:
                raise RuntimeError("the disk is full")
            return network(*inputs)

        return run

    return forward


def main() -> None:
    os.environ["LOCAL_RANK"] = "0"
    rank = int(os.environ["RANK"])
    monkeyed: Any = module
    monkeyed._fixed = lambda forward: forward
    # The term's mean over the processes, and the layer's batch of all of them, would wait for the one that fails.
    nets = {"type": "dcgan", "width": 4, "condition_dim": 4, "d_norm": "layer", "minibatch_stddev": True}
    sections = {"terms": [{"type": "feature_matching"}], "train": {"batch_size": 8, "compile": "auto"}}
    for what, failing in (("one fails", 1), ("the main one fails", 0), ("none fails", 2)):
        monkeyed._compiled = compiled(rank == failing)
        loop = toy_loop(scratch(), toy_config(nets=nets, **sections))[0]
        choose = loop.trial._choose

        def differently(loop: Any = loop, choose: Callable[[], None] = choose) -> None:
            """The main process finds compiled faster, the other one eager."""
            loop.trial.times = {"eager": [2.0 - rank] * 9, "compiled": [1.0 + rank] * 9}
            choose()

        monkeyed_trial: Any = loop.trial
        monkeyed_trial._choose = differently
        for _ in range(module.END + 1):
            loop._iterate(False)
        runtime = loop.game.runtime
        for player in loop.game.players.values():
            flat = torch.cat([parameter.detach().flatten() for parameter in player.parameters])
            assert torch.equal(*runtime.gather(flat)), what
        chosen = runtime.gather(torch.tensor(float(loop.trial.choice == "compiled"))).tolist()
        if rank == 0:
            lines: list[str] = loop.observer.lines  # type: ignore[attr-defined]
            sys.stdout.write(f"{what}: {chosen}, {lines[1].split('; the run')[0]}\n")
    runtime.close(together=True)


if __name__ == "__main__":
    main()
