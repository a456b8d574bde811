"""`train.compile`: compiled updates are the plain ones, and what is chosen is chosen for a reason."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import ROOT
from test_processes import torchrun
from torch import Tensor, nn

import ganforge.engine.compiling as module
from ganforge.api import Context, UserError
from ganforge.build import plan
from ganforge.config.drift import changes
from ganforge.engine import Loop, StopRequest, checkpoint
from ganforge.engine.compiling import END, form_at, reason
from ganforge.engine.rehearsal import rehearse
from ganforge.profiling import profile_run
from support.toys import Recorder, toy_config, toy_loop, weights_of

MLP: dict[str, Any] = {
    "data": {"type": "squares", "labels": "none"},
    "nets": {"type": "mlp", "g_hidden": [8], "d_hidden": [8], "spectral_norm": True},
}
DCGAN: dict[str, Any] = {
    "data": {"type": "squares"},
    "nets": {"type": "dcgan", "width": 4, "condition_dim": 4, "d_norm": "none", "spectral_norm": True},
}
RESNET: dict[str, Any] = {
    "data": {"type": "squares", "size": 32, "count": 16},
    "nets": {"type": "resnet", "g_width": 4, "d_width": 4, "condition_dim": 4, "norm": "layer"},
    "terms": [{"type": "gradient_penalty", "every": 2}],
    "loss": {"type": "wasserstein"},
}
SGD = {"optimizer": {"type": "sgd", "lr": 0.1}}
"""A step of SGD is the gradient: what differs there differs here, and no more."""

needs_compiler = pytest.mark.skipif(
    shutil.which("g++") is None and shutil.which("clang++") is None,
    reason="torch.compile writes C++, and there is neither g++ nor clang++ here",
)


def toy(folder: Path, mode: str, **sections: Any) -> tuple[Loop, Recorder]:
    train = {"compile": mode, "images": 8 * (END + 4), **sections.pop("train", {})}
    logging = {"every": 80, "grid_every": 0}
    return toy_loop(folder, toy_config(train=train, logging=logging, **{**MLP, **sections}))


def same(a: Loop, b: Loop) -> bool:
    first, second = weights_of(a), weights_of(b)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def kept_apart(monkeypatch: pytest.MonkeyPatch, factor: float = 1.001) -> None:
    """In the compiler's place: a form whose numbers tell which one ran."""

    def compiled(network: nn.Module) -> Callable[..., Any]:
        def forward(*inputs: Any) -> Any:
            output = network(*inputs)
            return (
                output * factor
                if isinstance(output, Tensor)
                else output._replace(logits=output.logits * factor)
            )

        return forward

    monkeypatch.setattr(module, "_compiled", compiled)
    monkeypatch.setattr(module, "_fixed", lambda forward: forward)


class Clock:
    """An iteration lasts as long as its form does."""

    def __init__(self, loop: Loop, eager: float, compiled: float) -> None:
        self.loop = loop
        self.cost = {True: eager, False: compiled}
        self.now, self.looks = 0.0, 0

    def perf_counter(self) -> float:
        self.looks += 1
        if self.looks % 2 == 0:
            player = self.loop.game.players["d"]
            self.now += self.cost[player.form is player.network]
        return self.now


# --- which form when --------------------------------------------------------------------------


def test_the_plan_goes_by_the_number_of_the_iteration() -> None:
    assert [form_at(number)[0] for number in range(14)] == list("eeeeccecceecce")
    turns = [form_at(number) for number in range(6, END)]
    assert turns.count("eager") == turns.count("compiled") == 20


@pytest.mark.parametrize(
    ("eager", "compiled", "choice", "line"),
    [
        (0.812, 0.805, "eager", "compile: kept eager, 812 ms an iteration against 805 ms compiled"),
        (0.812, 0.790, "compiled", "compile: took compiled, 790 ms an iteration against 812 ms eager"),
        (0.00312, 0.004, "eager", "compile: kept eager, 3.12 ms an iteration against 4 ms compiled"),
        (1.5, 1.0, "compiled", "compile: took compiled, 1,000 ms an iteration against 1,500 ms eager"),
    ],
)
def test_the_faster_form_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, eager: float, compiled: float, choice: str, line: str
) -> None:
    kept_apart(monkeypatch)
    loop, recorder = toy(tmp_path, "auto")
    monkeypatch.setattr(module, "time", Clock(loop, eager, compiled))
    seen = []
    for _ in range(END + 3):
        loop._iterate(False)
        player = loop.game.players["d"]
        seen.append("eager" if player.form is player.network else "compiled")
    assert seen == [form_at(number) for number in range(END)] + [choice] * 3
    assert recorder.lines == [module.WORKING, line]


def test_without_figures_it_stays_eager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept_apart(monkeypatch)
    loop, recorder = toy(tmp_path, "auto")
    monkeypatch.setattr(module, "time", Clock(loop, 2.0, 1.0))
    for _ in range(END):
        loop._iterate(True)
    assert loop.trial.choice == "eager"
    assert recorder.lines[1:] == [
        "compile: kept eager, as too few iterations could be measured: those with a row of the log "
        "(logging.every) do not count"
    ]


def test_off_is_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept_apart(monkeypatch, factor=float("nan"))
    loop, recorder = toy(tmp_path, "off")
    for _ in range(8):
        loop._iterate(False)
    assert recorder.lines == [] and all(
        player.form is player.network for player in loop.game.players.values()
    )


# --- the rehearsal, and what goes wrong in it --------------------------------------------------


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
        assert rehearsed.game.tally.state() == plain.game.tally.state()
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
    assert loop.game.tally.state() == plain.game.tally.state()
    assert recorder.lines == [
        module.WORKING,
        "warning: the networks are not compiled (RuntimeError: no kernel for that), and the run goes on without; "
        "set train.compile = 'off' to begin one that does not try, or on a machine without a C++ compiler "
        "install one, such as g++",
    ]
    assert loop.trial.choice == "eager"


def test_two_processes_run_in_one_form(tmp_path: Path) -> None:
    done = torchrun(ROOT / "tests" / "support" / "two_processes_compiling.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    warning = "warning: the networks are not compiled"
    assert done.stdout.splitlines() == [
        f"one fails: [0.0, 0.0], {warning} (it failed in another process)",
        f"the main one fails: [0.0, 0.0], {warning} (RuntimeError: the disk is full)",
        "none fails: [1.0, 1.0], compile: took compiled, 1,000 ms an iteration against 2,000 ms eager",
    ]


def test_nothing_is_compiled_after_the_rehearsal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graphs: list[object] = []

    def backend(graph: Any, inputs: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    monkeypatch.setattr(module, "BACKEND", backend)
    loop, _ = toy(tmp_path, "on", terms=[{"type": "gradient_penalty", "every": 2}])
    loop._iterate(False)
    before = len(graphs)
    for _ in range(3):
        loop._iterate(True)
    # Each network when it learns, and when it is frozen.
    assert len(graphs) == before >= 4


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


# --- going on ----------------------------------------------------------------------------------


@pytest.mark.parametrize("stop_at", [3, 9, 40, END + 1])
def test_a_resumed_run_goes_on_with_plan_and_choice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_at: int
) -> None:
    kept_apart(monkeypatch)
    whole, _ = toy(tmp_path / "whole", "auto")
    monkeypatch.setattr(module, "time", Clock(whole, 2.0, 1.0))
    whole.run(StopRequest())
    first, _ = toy(tmp_path / "parts", "auto", train={"images": 8 * stop_at})
    monkeypatch.setattr(module, "time", Clock(first, 2.0, 1.0))
    first.run(StopRequest())
    second, recorder = toy(tmp_path / "parts", "auto")
    monkeypatch.setattr(module, "time", Clock(second, 2.0, 1.0))
    second.restore(*checkpoint.load_newest(tmp_path / "parts", print))
    second.run(StopRequest())
    assert same(second, whole)
    assert whole.trial.choice == second.trial.choice == "compiled"
    assert sum(line.startswith("compile:") for line in recorder.lines) == (stop_at < END)


def test_a_choice_stays_where_the_run_goes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept_apart(monkeypatch)
    loop, _ = toy(tmp_path, "auto")
    monkeypatch.setattr(module, "time", Clock(loop, 2.0, 1.0))
    loop._iterate(False)
    young = loop.state()
    while loop.trial.choice is None:
        loop._iterate(False)
    loop.restore(*young)
    assert loop.iteration == 1 and loop.trial.choice == "compiled"
    loop._iterate(False)
    assert loop.game.players["d"].form is not loop.game.players["d"].network
    resumed, _ = toy(tmp_path, "auto")
    resumed.restore(*loop.state())
    resumed.restore(*young)
    assert resumed.iteration == 1 and resumed.trial.choice == "compiled"


def test_what_failed_once_is_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_compiled", fails_forward)
    first, _ = toy(tmp_path, "on")
    first._iterate(False)
    second, recorder = toy(tmp_path, "on")
    second.restore(*first.state())
    second._iterate(False)
    assert recorder.lines == []


def test_an_older_checkpoint_still_loads(tmp_path: Path) -> None:
    loop, _ = toy(tmp_path, "off")
    tensors, state = loop.state()
    del state["compile"]
    loop.restore(tensors, state)
    assert loop.trial.choice == "eager"


def test_a_run_does_not_change_its_mind() -> None:
    assert [str(change) for change in changes(toy_config(), toy_config(train={"compile": "auto"}))] == [
        'train.compile: "off" -> "auto"'
    ]


def test_a_profile_waits_for_the_choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept_apart(monkeypatch)
    lines: list[str] = []
    context = Context(tmp_path, lines.append, lambda items, total, what: iter(items))
    found = profile_run(toy_config(train={"compile": "auto"}, **MLP), 1, context)
    assert lines[0] == module.WORKING and lines[1].startswith("compile: ")
    names = [part.name for part in found.parts]
    assert "D's update: generator forward" in names and "G's update: discriminator forward" in names


# --- the same update ---------------------------------------------------------------------------


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An update that the rehearsal has not compiled raises, where a run would play it eagerly."""

    def fixed(forward: Callable[..., Any]) -> Callable[..., Any]:
        def run(*inputs: Any) -> Any:
            with torch.compiler.set_stance("fail_on_recompile"):
                return forward(*inputs)

        return run

    monkeypatch.setattr(module, "_fixed", fixed)
    yield
    torch.compiler.reset()


def forgetful(loop: Loop) -> None:
    """Gives the discriminator a layer that draws for itself."""
    critic: Any = loop.game.players["d"].network
    critic.trunk = nn.Sequential(nn.Dropout(0.5), critic.trunk)


def apart(folder: Path, change: Callable[[Loop], None] = lambda loop: None, **sections: Any) -> float:
    """Plays two iterations plainly and compiled; the largest difference in any weight, buffer or
    average. They must have moved."""
    loops = [
        toy(folder / mode, mode, generator=SGD, discriminator=SGD, **sections)[0] for mode in ("off", "on")
    ]
    for loop in loops:
        change(loop)
    start = weights_of(loops[0])
    for loop in loops:
        for _ in range(2):
            loop._iterate(False)
    assert loops[1].trial.choice == "compiled"
    plain, compiled = (weights_of(loop) for loop in loops)
    assert plain.keys() == compiled.keys()
    for group in ("network_d", "network_g", "generator"):
        assert any(not torch.equal(start[name], plain[name]) for name in plain if name.startswith(group))
    return max(float((plain[name].double() - compiled[name].double()).abs().max()) for name in plain)


@pytest.mark.slow
def test_compiled_is_plain_with_random_layers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, strict: None
) -> None:
    monkeypatch.setattr(module, "BACKEND", "aot_eager")
    assert apart(tmp_path, forgetful) < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("sections", [DCGAN, RESNET], ids=["dcgan", "resnet"])
def test_compiled_is_plain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, strict: None, sections: dict[str, Any]
) -> None:
    """DCGAN with conditions, BatchNorm and spectral normalisation; a residual critic under a penalty,
    which differentiates twice."""
    monkeypatch.setattr(module, "BACKEND", "aot_eager")
    assert apart(tmp_path, **sections) < 1e-5


@needs_compiler
@pytest.mark.slow
def test_torchs_own_compiler_draws_what_is_drawn_plainly(tmp_path: Path, strict: None) -> None:
    assert apart(tmp_path, forgetful) < 1e-6


@needs_compiler
@pytest.mark.slow
def test_torchs_own_compiler_with_convolutions(tmp_path: Path, strict: None) -> None:
    assert apart(tmp_path, **DCGAN) < 1e-5


@pytest.mark.slow
def test_a_compiled_run_resumes_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BACKEND", "aot_eager")
    whole, _ = toy(tmp_path / "whole", "on", train={"images": 64})
    forgetful(whole)
    whole.run(StopRequest())
    first, _ = toy(tmp_path / "parts", "on", train={"images": 24})
    forgetful(first)
    first.run(StopRequest())
    second, _ = toy(tmp_path / "parts", "on", train={"images": 64})
    forgetful(second)
    second.restore(*checkpoint.load_newest(tmp_path / "parts", print))
    second.run(StopRequest())
    assert second.trial.choice == "compiled" and same(second, whole)


def test_synchronised_statistics_and_compilation_exclude_each_other() -> None:
    with pytest.raises(UserError) as caught:
        plan(toy_config(train={"compile": "auto", "sync_batchnorm": True}))
    assert str(caught.value) == (
        "train.compile = 'auto' and train.sync_batchnorm exclude each other; set one of them to 'off' or false"
    )
