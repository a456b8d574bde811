"""The callback `ada`: its p by a plain loop, over processes and micro-batches, resumed, recorded and logged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from ganforge.api import Draw, Play, Stream, Verdict
from ganforge.engine.acceleration.cuda_graph import CudaGraph
from ganforge.engine.acceleration.graph_replay import Replays
from ganforge.engine.checkpoint import checkpoint
from ganforge.engine.loop import Loop
from ganforge.engine.update.device_optimizer import keep_on_device
from ganforge_callbacks.ada import Ada
from support.replayed import replays_of
from support.tape import graphs_on_tape as graphs_on_tape
from support.toys import run, toy_config, toy_loop, weights_of

pytestmark = pytest.mark.numeric

BATCH = 8


def shown(logits: Any, mean: Any = None, world: int = 1) -> Play:
    first = logits[0] if isinstance(logits, list) else logits
    x, z = torch.zeros(len(first), 3, 4, 4), torch.zeros(len(first), 2)
    stream = Stream.of(torch.device("cpu"), 0, world)

    def critic(x: Any, cond: Any) -> Verdict:
        return Verdict(logits)

    return Play("d", x, None, x, Draw(z, None, {}), critic, critic, stream, mean or (lambda x: x))


def updated(callback: Ada, *plays: Play) -> None:
    for play in plays:
        callback.after(play)
    callback.after_update("d", torch.nn.Identity())


def test_p_follows_the_signs() -> None:
    callback = Ada(kimg=0.4, every=3, target=0.25, limit=0.5).copied()
    rng = torch.Generator().manual_seed(0)
    p, seen = 0.0, []
    for update in range(40):
        logits = torch.randn(BATCH, generator=rng) + (0.8 if update < 24 else -1.0)
        updated(callback, shown(logits))
        callback.after_update("g", torch.nn.Identity())
        seen += logits.sign().tolist()
        if update % 3 == 2:
            r = sum(seen) / len(seen)
            p = min(0.5, max(0.0, p + (1 if r > 0.25 else -1) * len(seen) / 400))
            assert float(callback._r) == pytest.approx(r)
            seen = []
        assert float(callback._p) == pytest.approx(p, abs=1e-6)
        if update == 23:
            assert p == pytest.approx(0.48)
    assert p < 0.3


def test_micro_batches_scales_and_processes_count_as_one_batch() -> None:
    logits = torch.tensor([1.0, 2.0, -1.0, 3.0])
    whole, parts, scales, two = (Ada(every=1, kimg=1).copied() for _ in range(4))
    updated(whole, shown(logits))
    updated(parts, shown(logits[:2]), shown(logits[2:]))
    updated(scales, shown([logits[:, None].expand(4, 5), logits]))
    # The first of two processes: the other one's two samples are both called real.
    mean = (logits[2:].sign().sum() + logits[:2].sign().sum()) / 2
    updated(two, shown(logits[:2], lambda x: mean, world=2))
    for callback in (whole, parts, scales, two):
        assert (float(callback._p), float(callback._r)) == pytest.approx((0.0, 0.5))
    for callback in (whole, parts, scales, two):
        for _ in range(3):
            updated(callback, shown(torch.ones(4 if callback is not two else 2), world=1 + (callback is two)))
        assert float(callback._p) == pytest.approx(3 * 4 / 1000)


def config_of(iterations: int, **train: Any) -> Any:
    return toy_config(
        nets={"type": "dcgan", "width": 4, "condition_dim": 4, "d_norm": "none"},
        callbacks=[{"type": "ada", "target": -0.5, "every": 2, "kimg": 0.2}],
        terms=[{"type": "r1"}],
        train={"images": BATCH * iterations, "batch_size": BATCH, **train},
        logging={"every": 4 * BATCH, "grid_every": 0, "checkpoint_every": 10**9},
    )


@pytest.mark.parametrize("train", [{}, {"accumulate": 2}])
def test_p_resumes_exactly_and_is_in_the_log(tmp_path: Path, train: dict[str, Any]) -> None:
    whole, log = toy_loop(tmp_path / "whole", config_of(11, **train))
    first, _ = toy_loop(tmp_path / "parts", config_of(5, **train))
    assert run(whole) and run(first)
    second, _ = toy_loop(tmp_path / "parts", config_of(11, **train))
    second.restore(*checkpoint.load_newest(tmp_path / "parts", print))
    assert run(second)
    after, found = weights_of(whole), weights_of(second)
    assert [name for name in after if not torch.equal(after[name], found[name])] == []
    p = whole.game.live.memory["callbacks.0._p"]
    assert 0 < float(p) == float(second.game.live.memory["callbacks.0._p"])
    rows = [row["estimate/ada_p"] for row in log.rows]
    assert rows == sorted(rows) and 0 <= rows[0] < rows[-1] <= float(p)
    assert all(-1 <= row["estimate/ada_r"] <= 1 for row in log.rows)


@pytest.mark.usefixtures("graphs_on_tape")
def test_recordings_change_p(tmp_path: Path) -> None:
    def loop_of(name: str) -> Loop:
        return toy_loop(tmp_path / name, config_of(16))[0]

    plain, fast = loop_of("plain"), loop_of("fast")
    for player in plain.game.players.values():
        keep_on_device(player.optimizer, plain.game.runtime.device)
    fast.replays = Replays(fast.game, fast.schedule, lambda: CudaGraph([fast.game.rng], None), fast.say)
    assert run(plain) and run(fast)
    assert replays_of(fast).replayed > 0
    assert float(fast.game.live.memory["callbacks.0._p"]) > 0
    after, found = weights_of(plain), weights_of(fast)
    assert [name for name in after if not torch.equal(after[name], found[name])] == []
