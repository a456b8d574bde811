"""Updates by replay are the plain ones; what cannot be recorded is played plainly, and said.

The recordings are tapes (tests/support/tape.py), which freeze what a CUDA graph freezes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from torch import Tensor

from ganforge.api import Callback, Field, Play, Term
from ganforge.engine.acceleration.graph_replay import CHECKS, WARM_UP, Replays
from ganforge.engine.checkpoint import checkpoint
from ganforge.engine.distributed.stop_request import StopRequest
from ganforge.engine.loop import Loop
from support.tape import Tape
from support.toys import Recorder, toy_config, toy_loop, weights_of

pytestmark = pytest.mark.numeric

ADAM = {"optimizer": {"type": "adam", "lr": 1e-3}}
PENALISED: dict[str, Any] = {
    "nets": {"type": "dcgan", "width": 4, "condition_dim": 4, "d_norm": "none", "spectral_norm": True},
    "loss": {"type": "wasserstein"},
    "terms": [{"type": "gradient_penalty", "every": 3}],
    "callbacks": [{"type": "diff_augment"}],
    "train": {"d_updates": 3, "images": 24 * 30},
}
KINDS: dict[str, dict[str, Any]] = {
    "dcgan": {},
    "reused": {"train": {"fakes": "reused", "images": 8 * 30}},
    "lazy": {
        "nets": {"type": "dcgan", "width": 4, "condition_dim": 4, "d_norm": "none"},
        "terms": [{"type": "r1", "every": 4}],
        "train": {"fakes": "reused", "images": 8 * 30},
        "generator": {"optimizer": {"type": "adam", "lr": 1e-5}},
    },
    "penalised": PENALISED,
    "wgan": {
        "loss": {"type": "wasserstein"},
        "callbacks": [{"type": "weight_clip"}],
        "generator": {"optimizer": {"type": "sgd", "momentum": 0.5}},
        "discriminator": {"optimizer": {"type": "adamw"}},
    },
    "codes": {
        "data": {"type": "squares", "labels": "none"},
        "prior": {"type": "codes", "dim": 4, "categorical": [3], "continuous": 2},
        "terms": [{"type": "mutual_information"}],
        "lr": {"decay": "linear"},
    },
    "micro": {"train": {"accumulate": 2, "images": 8 * 30, "clip_grad_norm": 0.5}},
}


def loop_of(folder: Path, replays: bool, **sections: Any) -> tuple[Loop, Recorder, list[Tape]]:
    defaults: dict[str, Any] = {
        "train": {"images": 8 * 30},
        "logging": {"every": 8 * 7, "grid_every": 0, "checkpoint_every": 10**9},
        "generator": ADAM,
        "discriminator": ADAM,
    }
    loop, log = toy_loop(folder, toy_config(**{**defaults, **sections}))
    tapes: list[Tape] = []

    def blank() -> Tape:
        tapes.append(Tape())
        return tapes[-1]

    if replays:
        loop.play = Replays(loop.game, loop.schedule, blank, loop.say).play
    else:
        # Of the learning rate as a tensor, in float32, as the recordings read it.
        for player in loop.game.players.values():
            for group in player.optimizer.param_groups:
                group["initial_lr"] = group["lr"]
                group["lr"] = torch.tensor(group["lr"])
    return loop, log, tapes


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_by_replays_is_the_plain_run_bit_for_bit(tmp_path: Path, kind: str) -> None:
    plain, plain_log, _ = loop_of(tmp_path / "plain", False, **KINDS[kind])
    fast, log, tapes = loop_of(tmp_path / "fast", True, **KINDS[kind])
    assert plain.run(StopRequest()) and fast.run(StopRequest())
    assert log.lines == []
    # With a lazy penalty there are two kinds of updates of the discriminator.
    assert len(tapes) == {"penalised": 3, "lazy": 4}.get(kind, 2)
    expected, found = weights_of(plain), weights_of(fast)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        assert torch.equal(value, found[name]), name
    for wanted, row in zip(plain_log.rows, log.rows, strict=True):
        skipped = {"seconds", "images_per_second", "peak_memory_mib"}
        assert {k: v for k, v in wanted.items() if k not in skipped} == {
            k: v for k, v in row.items() if k not in skipped
        }


def test_a_run_by_replays_resumes_exactly(tmp_path: Path) -> None:
    whole, _, _ = loop_of(tmp_path / "whole", True, **PENALISED)
    whole.run(StopRequest())
    half = {**PENALISED, "train": {"d_updates": 3, "images": 24 * 14}}
    first, _, _ = loop_of(tmp_path / "parts", True, **half)
    first.run(StopRequest())
    second, log, tapes = loop_of(tmp_path / "parts", True, **PENALISED)
    second.restore(*checkpoint.load_newest(tmp_path / "parts", print))
    second.run(StopRequest())
    assert tapes and not log.lines
    expected, found = weights_of(whole), weights_of(second)
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_after_a_checkpoint_is_put_back_recordings_are_made_anew(tmp_path: Path) -> None:
    loop, log, tapes = loop_of(tmp_path, True)
    state = loop.state()
    for _ in range(WARM_UP + CHECKS + 1):
        loop._iterate(False)
    assert len(tapes) == 2
    loop.restore(*state)
    for _ in range(WARM_UP + CHECKS + 1):
        loop._iterate(False)
    assert len(tapes) == 4 and not log.lines


class Pushing(Term):
    """Pulls the logits of fakes towards a number that Python decides in every update."""

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
        ("frozen", "a replay is "),
    ],
)
def test_what_cannot_be_recorded_is_played_plainly(tmp_path: Path, how: str, reason: str) -> None:
    results = []
    for replays in (False, True):
        CALLS.clear()
        loop, log, _ = loop_of(tmp_path / str(replays), replays)
        loop.game.players["d"].terms["pushing"] = Pushing(how=how)
        assert loop.run(StopRequest())
        results.append(weights_of(loop))
    if how == "read":
        assert all(torch.equal(results[0][name], results[1][name]) for name in results[0])
    (line,) = log.lines
    assert line.startswith(f"cuda graphs: not used ({reason}")
    assert line.endswith("; updates are sent operation by operation")


class Late(Callback):
    """Refuses to be recorded, in the last moment of an update."""

    type: Literal["late"] = "late"

    def after_update(self, role: str, network: torch.nn.Module) -> None:
        float(next(network.parameters()).sum())


def test_an_update_that_breaks_off_in_a_recording_leaves_no_trace(tmp_path: Path) -> None:
    both = []
    for replays in (False, True):
        loop, log, _ = loop_of(tmp_path / str(replays), replays)
        loop.game.callbacks = [Late()]
        assert loop.run(StopRequest())
        both.append((weights_of(loop), log.rows[-1]["loss/d"], log.lines))
    assert all(torch.equal(both[0][0][name], both[1][0][name]) for name in both[0][0])
    assert both[0][1] == both[1][1]
    assert len(both[1][2]) == 1


def test_on_the_cpu_it_says_that_there_are_no_graphs(tmp_path: Path) -> None:
    loop, log = toy_loop(tmp_path, toy_config(train={"cuda_graphs": "auto"}))
    assert log.lines == ["cuda graphs: not used (the run is on the CPU)"]
    loop._iterate(False)


ON_GPU = {
    **KINDS,
    # Its kernel takes a rate that is a tensor on a GPU only.
    "rmsprop": {"generator": {"optimizer": {"type": "rmsprop"}}},
    "compiled": {"train": {"compile": "on", "images": 8 * 30}},
}


@pytest.mark.gpu
@pytest.mark.parametrize("kind", ON_GPU)
def test_cuda_graphs_do_what_plain_updates_do(tmp_path: Path, kind: str) -> None:
    results = []
    for graphs in ("off", "auto"):
        sections = {**ON_GPU[kind]}
        train = {"images": 8 * 30, **sections.pop("train", {}), "device": "cuda", "cuda_graphs": graphs}
        loop, log = toy_loop(tmp_path / graphs, toy_config(**sections, train=train))
        assert loop.run(StopRequest()) and log.lines == []
        results.append(weights_of(loop))
    plain, fast = results
    apart = sum(float((plain[k] - fast[k]).float().norm()) for k in plain if k.startswith("network"))
    size = sum(float(plain[k].float().norm()) for k in plain if k.startswith("network"))
    assert apart < 1e-3 * size
