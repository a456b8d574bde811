"""`train.compile`: a rehearsal leaves no trace, and what goes wrong in it costs a line and no bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import ganforge.engine.acceleration.compile_trial as module
from ganforge.api import UserError
from ganforge.engine.acceleration.compile_trial import reason
from ganforge.engine.acceleration.dry_run import rehearse
from ganforge.training.build import plan
from support.compiled import DCGAN, same, toy
from support.paths import TESTS
from support.torchrun import torchrun
from support.toys import toy_config


def test_a_rehearsal_leaves_no_trace(tmp_path: Path) -> None:
    sections: dict[str, Any] = {
        "terms": [{"type": "gradient_penalty", "every": 4}],
        "train": {"fakes": "reused"},
    }
    rehearsed, _ = toy(tmp_path / "a", "off", **sections)
    plain, _ = toy(tmp_path / "b", "off", **sections)
    for _ in range(3):
        plain._iterate(True)
        before = torch.get_rng_state()
        flags = [p.requires_grad for player in rehearsed.game.players.values() for p in player.parameters]
        rehearse(rehearsed.game, rehearsed.batches.at(7))
        assert torch.equal(before, torch.get_rng_state())
        after = [p for player in rehearsed.game.players.values() for p in player.parameters]
        assert [p.requires_grad for p in after] == flags and all(p.grad is None for p in after)
        rehearsed._iterate(True)
        assert same(rehearsed, plain)
        assert rehearsed.game.means.state() == plain.game.means.state()
    assert rehearsed.state()[1]["players"] == plain.state()[1]["players"]


class _FailsBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        raise RuntimeError("no kernel for that\n\nand a long explanation")


def fails_forward(network: nn.Module) -> Callable[..., Any]:
    def forward(*inputs: Any) -> Any:
        # After the buffers have moved.
        network(*inputs)
        raise RuntimeError("no kernel for that\n\nand a long explanation")

    return forward


def fails_backward(network: nn.Module) -> Callable[..., Any]:
    def forward(*inputs: Any) -> Any:
        output = network(*inputs)
        if isinstance(output, Tensor):
            return output
        return output._replace(logits=_FailsBackward.apply(output.logits))

    return forward


@pytest.mark.parametrize(("mode", "fakes"), [("auto", "fresh"), ("on", "reused")])
@pytest.mark.parametrize("fails", [fails_forward, fails_backward])
def test_a_failure_costs_a_line_and_no_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, fakes: str, fails: Callable[..., Any]
) -> None:
    monkeypatch.setattr(module, "_compiled", fails)
    plain, _ = toy(tmp_path / "plain", "off", **DCGAN, train={"fakes": fakes})
    loop, recorder = toy(tmp_path / "failed", mode, **DCGAN, train={"fakes": fakes})
    for number in range(8):
        plain._iterate(number == 4)
        loop._iterate(number == 4)
    assert same(loop, plain)
    assert loop.game.means.state() == plain.game.means.state()
    assert recorder.lines == [
        module.WORKING,
        "warning: the networks are not compiled (RuntimeError: no kernel for that); the run continues without. "
        "Set train.compile = 'off' to start a run that does not try, or, on a machine without a C++ compiler, "
        "install one, such as g++",
    ]
    assert loop.trial.choice == "eager"


@pytest.mark.slow
def test_two_processes_run_in_one_form(tmp_path: Path) -> None:
    done = torchrun(TESTS / "support" / "two_processes_compiling.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    warning = "warning: the networks are not compiled"
    assert done.stdout.splitlines() == [
        f"one fails: [0.0, 0.0], {warning} (it failed in another process)",
        f"the main one fails: [0.0, 0.0], {warning} (RuntimeError: the disk is full)",
        "none fails: [1.0, 1.0], compile: chose compiled, 1,000 ms per iteration (2,000 ms eager)",
    ]


def test_what_the_rehearsal_compiled_is_what_updates_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each pass of a network in each iteration; and nothing else is compiled."""
    graphs: list[object] = []
    runs: list[object] = []

    def backend(graph: Any, inputs: Any) -> Any:
        graphs.append(graph)

        def run(*inputs: Any) -> Any:
            runs.append(graph)
            return graph.forward(*inputs)

        return run

    monkeypatch.setattr(module, "BACKEND", backend)
    loop, _ = toy(tmp_path, "on", terms=[{"type": "gradient_penalty", "every": 2}])
    loop._iterate(False)
    before = len(graphs)
    # Each network when it learns, and when it is frozen.
    assert before >= 4
    for measure in (False, True, False):
        runs.clear()
        loop._iterate(measure)
        # G and D twice for D, and both for G; what is measured for the log runs eagerly.
        assert len(runs) == 5
    assert len(graphs) == before


def test_the_reason_is_what_lies_at_the_bottom() -> None:
    inner = ValueError("first line\nsecond")
    outer = RuntimeError("backend='inductor' raised:")
    outer.inner_exception = inner  # type: ignore[attr-defined]
    assert reason(outer) == "ValueError: first line"
    assert reason(RuntimeError()) == "RuntimeError"


def test_what_torch_itself_raises_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def backend(graph: Any, inputs: Any) -> Any:
        raise OSError("no compiler on this disk\nhere is what to do")

    monkeypatch.setattr(module, "BACKEND", backend)
    loop, recorder = toy(tmp_path / "failed", "on")
    plain, _ = toy(tmp_path / "plain", "off")
    for each in (loop, plain):
        each._iterate(False)
    assert "(OSError: no compiler on this disk)" in recorder.lines[1]
    assert same(loop, plain)


def test_what_failed_once_is_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_compiled", fails_forward)
    first, _ = toy(tmp_path, "on")
    first._iterate(False)
    second, recorder = toy(tmp_path, "on")
    second.restore(*first.state())
    second._iterate(False)
    assert recorder.lines == []


def test_synchronised_statistics_and_compilation_exclude_each_other() -> None:
    with pytest.raises(UserError) as caught:
        plan(toy_config(train={"compile": "auto", "sync_batchnorm": True}))
    assert str(caught.value) == (
        "train.compile = 'auto' and train.sync_batchnorm are mutually exclusive; set one of them to 'off' or false"
    )
