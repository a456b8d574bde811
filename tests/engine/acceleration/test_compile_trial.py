"""`train.compile`: which mode runs when, which one is chosen and why, and that a resumed run keeps it."""

from __future__ import annotations

from pathlib import Path

import pytest

import ganforge.engine.acceleration.compile_trial as module
from ganforge.api import Context
from ganforge.config.drift import changes
from ganforge.engine.acceleration.compile_trial import END, form_at
from ganforge.engine.checkpoint import checkpoint
from ganforge.engine.distributed.stop_request import StopRequest
from ganforge.profiling.profile import profile_run
from support.compiled import MLP, Clock, kept_apart, same, toy
from support.toys import toy_config

# --- which form when --------------------------------------------------------------------------


def test_the_plan_goes_by_the_number_of_the_iteration() -> None:
    assert [form_at(number)[0] for number in range(14)] == list("eeeeccecceecce")
    turns = [form_at(number) for number in range(6, END)]
    assert turns.count("eager") == turns.count("compiled") == 20


@pytest.mark.parametrize(
    ("eager", "compiled", "choice", "line"),
    [
        (0.812, 0.805, "eager", "compile: kept eager, 812 ms per iteration (805 ms compiled)"),
        (0.812, 0.790, "compiled", "compile: chose compiled, 790 ms per iteration (812 ms eager)"),
        (0.00312, 0.004, "eager", "compile: kept eager, 3.12 ms per iteration (4 ms compiled)"),
        (1.5, 1.0, "compiled", "compile: chose compiled, 1,000 ms per iteration (1,500 ms eager)"),
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
        "compile: kept eager, because too few iterations could be measured: those with a row of the log "
        "(logging.every) are excluded"
    ]


def test_off_is_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept_apart(monkeypatch, factor=float("nan"))
    loop, recorder = toy(tmp_path, "off")
    for _ in range(8):
        loop._iterate(False)
    assert recorder.lines == [] and all(
        player.form is player.network for player in loop.game.players.values()
    )


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
