"""Updates by replay are the plain ones; what cannot be recorded is played plainly, and said.

The recordings are tapes (tests/support/tape.py), which freeze what a CUDA graph freezes and refuse what
it refuses.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from torch import Tensor

from ganforge.api import Callback, Field, Play, Term
from ganforge.engine.acceleration.cuda_graph import CudaGraph
from ganforge.engine.acceleration.graph_replay import CHECKS, WARM_UP, Replays
from ganforge.engine.checkpoint import checkpoint
from ganforge.engine.distributed.stop_request import StopRequest
from ganforge.engine.loop import Loop
from ganforge.engine.update.device_optimizer import keep_on_device
from support.replayed import ADAM, KINDS, PENALIZED, replays_of
from support.tape import TapeGraph, capture
from support.tape import graphs_on_tape as graphs_on_tape
from support.toys import Recorder, toy_config, toy_loop, weights_of

pytestmark = pytest.mark.numeric


def loop_of(folder: Path, replays: bool, **sections: Any) -> tuple[Loop, Recorder]:
    defaults: dict[str, Any] = {
        "train": {"images": 8 * 30},
        "logging": {"every": 8 * 7, "grid_every": 0, "checkpoint_every": 10**9},
        "generator": ADAM,
        "discriminator": ADAM,
    }
    loop, log = toy_loop(folder, toy_config(**{**defaults, **sections}))
    if replays:
        loop.replays = Replays(
            loop.game, loop.schedule, lambda: CudaGraph([loop.game.rng], pool=None), loop.say
        )
    else:
        for player in loop.game.players.values():
            keep_on_device(player.optimizer, loop.game.runtime.device)
    return loop, log


@pytest.mark.usefixtures("graphs_on_tape")
@pytest.mark.parametrize("kind", KINDS)
def test_a_run_by_replays_is_the_plain_run_bit_for_bit(tmp_path: Path, kind: str) -> None:
    plain, plain_log = loop_of(tmp_path / "plain", False, **KINDS[kind])
    fast, log = loop_of(tmp_path / "fast", True, **KINDS[kind])
    assert plain.run(StopRequest()) and fast.run(StopRequest())
    # With a lazy penalty there are two kinds of updates of the discriminator.
    replays = replays_of(fast)
    assert replays.recorded == {"penalized": 3, "lazy": 4}.get(kind, 2)
    # Every iteration but the first ones and those that log is played by recordings.
    assert replays.replayed == (30 - len(log.rows) - WARM_UP) * len(fast.schedule) > 0
    assert len(log.lines) == 1 and log.lines[0].startswith("cuda graphs: on (")
    expected, found = weights_of(plain), weights_of(fast)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        assert torch.equal(value, found[name]), name
    for wanted, row in zip(plain_log.rows, log.rows, strict=True):
        skipped = {"seconds", "images_per_second", "peak_memory_mib"}
        assert {k: v for k, v in wanted.items() if k not in skipped} == {
            k: v for k, v in row.items() if k not in skipped
        }


@pytest.mark.usefixtures("graphs_on_tape")
def test_a_run_by_replays_resumes_exactly(tmp_path: Path) -> None:
    whole, _ = loop_of(tmp_path / "whole", True, **PENALIZED)
    whole.run(StopRequest())
    half = {**PENALIZED, "train": {"d_updates": 3, "images": 24 * 14}}
    first, _ = loop_of(tmp_path / "parts", True, **half)
    first.run(StopRequest())
    second, log = loop_of(tmp_path / "parts", True, **PENALIZED)
    second.restore(*checkpoint.load_newest(tmp_path / "parts", print))
    second.run(StopRequest())
    assert log.lines == ["cuda graphs: on (3 updates recorded)"]
    assert all(replays_of(loop).replayed > 0 for loop in (whole, first, second))
    expected, found = weights_of(whole), weights_of(second)
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_after_a_checkpoint_is_put_back_recordings_are_made_again(
    tmp_path: Path, graphs_on_tape: list[TapeGraph]
) -> None:
    loop, log = loop_of(tmp_path, True)
    state = loop.state()
    for made in (2, 4):
        for _ in range(WARM_UP + CHECKS + 1):
            loop._iterate(False)
        assert len(graphs_on_tape) == replays_of(loop).recorded == made
        assert replays_of(loop).replayed == made * (CHECKS + 1)
        loop.restore(*state)
    assert log.lines == ["cuda graphs: on (2 updates recorded)"]


class Subclass(torch.Generator):
    """What a graph does not take."""


@pytest.mark.usefixtures("graphs_on_tape")
def test_the_tape_refuses_what_a_graph_refuses() -> None:
    with pytest.raises(TypeError, match="expected a Generator, but got Subclass"):
        TapeGraph().register_generator_state(Subclass())
    registered, other = torch.Generator(), torch.Generator()
    graph = TapeGraph()
    graph.register_generator_state(registered)
    with capture(graph):
        torch.rand(1, generator=registered)
        torch.rand(1)
        with pytest.raises(RuntimeError, match="not registered"):
            torch.rand(1, generator=other)
        with pytest.raises(RuntimeError, match="not permitted when stream is capturing"):
            torch.ones(1).item()


class Pushing(Term):
    """Pulls the logits of fakes toward a number that Python decides in every update."""

    type: Literal["pushing"] = "pushing"
    how: str = Field("frozen", description="What it does that a recording cannot.")

    def __call__(self, play: Play) -> Tensor:
        logits = play.fake_verdict.logits
        if self.how == "read":
            return logits.square().mean() * (1.0 if logits.mean().item() > 0 else 2.0)
        CALLS.append(0)
        return 50.0 * (logits - (-1.0) ** len(CALLS)).square().mean()


CALLS: list[int] = []


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("read", "RuntimeError: operation not permitted when stream is capturing"),
        ("frozen", "a replay differs from the eager update by "),
    ],
)
@pytest.mark.usefixtures("graphs_on_tape")
def test_what_cannot_be_recorded_is_played_plainly(tmp_path: Path, how: str, reason: str) -> None:
    results = []
    for replays in (False, True):
        CALLS.clear()
        loop, log = loop_of(tmp_path / str(replays), replays)
        loop.game.players["d"].terms["pushing"] = Pushing(how=how)
        assert loop.run(StopRequest())
        results.append(weights_of(loop))
    if how == "read":
        assert all(torch.equal(results[0][name], results[1][name]) for name in results[0])
    (line,) = log.lines
    assert line.startswith(f"cuda graphs: not used ({reason}")
    assert line.endswith("; updates are launched operation by operation")


class Late(Callback):
    """Refuses to be recorded, in the last moment of an update."""

    type: Literal["late"] = "late"

    def after_update(self, role: str, network: torch.nn.Module) -> None:
        float(next(network.parameters()).sum())


@pytest.mark.usefixtures("graphs_on_tape")
def test_an_update_that_breaks_off_in_a_recording_leaves_no_trace(tmp_path: Path) -> None:
    both = []
    for replays in (False, True):
        loop, log = loop_of(tmp_path / str(replays), replays)
        loop.game.callbacks = [Late()]
        assert loop.run(StopRequest())
        both.append((weights_of(loop), log.rows[-1]["loss/d"], log.lines))
    assert all(torch.equal(both[0][0][name], both[1][0][name]) for name in both[0][0])
    assert both[0][1] == both[1][1]
    assert len(both[1][2]) == 1


def test_a_run_on_the_cpu_has_no_graphs_and_says_nothing(tmp_path: Path) -> None:
    loop, log = toy_loop(tmp_path, toy_config(train={"cuda_graphs": "auto", "device": "cpu"}))
    assert (loop.replays, log.lines) == (None, [])
