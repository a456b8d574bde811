"""StyleGAN2-ADA's recipe as a whole resumes bit for bit, and is recorded: adaptive augmentation, path length and
R1 as lazy terms with Adam corrected for them, random noise, mixed styles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ganforge.config import RunConfig
from ganforge.engine.acceleration.cuda_graph import CudaGraph
from ganforge.engine.acceleration.graph_replay import Replays
from ganforge.engine.checkpoint import checkpoint
from ganforge.engine.distributed.stop_request import StopRequest
from ganforge.engine.loop import Loop
from ganforge.engine.update.device_optimizer import keep_on_device
from support.records import numbers
from support.stops import StopAfter
from support.tape import graphs_on_tape as graphs_on_tape
from support.toys import run, toy_config, toy_loop, weights_of

pytestmark = pytest.mark.numeric

BATCH = 4
N = 3
"""Neither a multiple of how often p changes nor of how often a lazy term applies."""


def recipe(iterations: int, log_every: int = 1) -> RunConfig:
    nets = {"type": "stylegan2", "channel_base": 64, "channel_max": 6, "w_dim": 6, "mapping_layers": 2}
    return toy_config(
        nets={**nets, "noise": "random", "mixing": 0.9},
        loss={"type": "bce"},
        terms=[{"type": "r1", "weight": 0.1, "every": 4}, {"type": "path_length", "every": 2}],
        # A target that p follows upward from the start, and fast.
        callbacks=[{"type": "ada", "target": -0.9, "every": 2, "kimg": 0.1}],
        generator={"optimizer": {"type": "adam", "lr": 2.5e-3, "betas": [0.0, 0.99], "lazy": 2}},
        discriminator={"optimizer": {"type": "adam", "lr": 2.5e-3, "betas": [0.0, 0.99], "lazy": 4}},
        train={"images": BATCH * iterations, "batch_size": BATCH},
        ema={"halflife": 500, "rampup": 0.05},
        logging={"every": BATCH * log_every, "grid_every": 0, "checkpoint_every": 10**9},
    )


def differing(one: dict[str, Tensor], other: dict[str, Tensor]) -> list[str]:
    """Tensors whose bytes differ."""
    assert one.keys() == other.keys()

    def content(tensor: Tensor) -> bytes:
        return tensor.detach().contiguous().view(-1).view(torch.uint8).numpy().tobytes()

    return [name for name in one if content(one[name]) != content(other[name])]


def memory(loop: Loop) -> dict[str, float]:
    return {name: float(value) for name, value in loop.game.live.memory.items()}


def test_a_stopped_run_goes_on_bit_for_bit(tmp_path: Path) -> None:
    config = recipe(2 * N)
    straight, straight_log = toy_loop(tmp_path / "straight", config)
    assert run(straight)

    first, first_log = toy_loop(tmp_path / "broken", config)
    assert not first.run(StopAfter(N))
    then = memory(first)
    # What is to resume is there, in the middle of its counts.
    assert then["callbacks.0._p"] > 0 and then["callbacks.0._updates"] == N % 2
    assert then["terms.1._mean"] > 0
    second, second_log = toy_loop(tmp_path / "broken", config)
    second.restore(*checkpoint.load_newest(tmp_path / "broken", print))
    assert memory(second) == then
    assert second.run(StopRequest())

    assert differing(weights_of(straight), weights_of(second)) == []
    assert memory(straight) == memory(second) and memory(straight)["callbacks.0._p"] > then["callbacks.0._p"]
    rows: Any = numbers(straight_log.rows)
    assert rows == numbers(first_log.rows + second_log.rows)
    assert {"estimate/ada_p", "estimate/ada_r", "estimate/path_length"} <= {
        key for row in rows for key in row
    }


@pytest.mark.usefixtures("graphs_on_tape")
def test_its_updates_are_recorded(tmp_path: Path) -> None:
    # A measured iteration is not replayed.
    (plain, _), (fast, log) = (
        toy_loop(tmp_path / name, recipe(15, log_every=4)) for name in ("plain", "fast")
    )
    for player in plain.game.players.values():
        keep_on_device(player.optimizer, plain.game.runtime.device)
    fast.replays = Replays(fast.game, fast.schedule, lambda: CudaGraph([fast.game.rng], None), fast.say)
    assert run(plain) and run(fast)
    # Both players with their lazy term and without.
    assert "cuda graphs: on (4 updates recorded)" in log.lines
    assert memory(fast)["callbacks.0._p"] > 0 and memory(fast) == memory(plain)
    assert differing(weights_of(plain), weights_of(fast)) == []
