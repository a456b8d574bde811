"""What is done about a finding: the run stops, or goes back, and never for ever."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from ganforge.cli.health import health
from ganforge.engine.checkpoint import checkpoint
from ganforge.engine.distributed.stop_request import StopRequest
from ganforge.engine.loop import Loop
from ganforge.outputs.events import append_event, cut, read_events
from ganforge.outputs.metrics_log import MetricsLog, truncate_after
from ganforge.outputs.mirror.feed import Feed
from ganforge.outputs.mirror.files import Request
from ganforge.outputs.mirror.process import Mirror
from ganforge.outputs.report import write_report
from ganforge.outputs.run_folder import RunFolder
from ganforge_trackers.wandb_sink import WandbSink
from support.bomb import Bomb, with_bomb
from support.toys import Recorder, run, toy_config, toy_loop, weights_of

BLAME = "non_finite at 64 images: term/d/bomb not finite since iteration 7 (56 images)"


def bombed(folder: Path, bomb: Bomb, images: int = 128, **guard: Any) -> tuple[Loop, Recorder]:
    """16 iterations of 8 images, a row each 16 and a checkpoint each 32."""
    config = toy_config(train={"images": images}, logging={"every": 16, "checkpoint_every": 32}, health=guard)
    loop, log = toy_loop(folder, config)
    return with_bomb(loop, bomb), log


def states(folder: Path) -> dict[int, dict[str, Any]]:
    return {int(path.name): checkpoint.load(path, groups=())[1] for path in checkpoint.complete(folder)}


def events(log: Recorder, kind: str) -> list[dict[str, Any]]:
    return [event for event in log.events if event["event"] == kind]


def all_finite(loop: Loop) -> bool:
    return all(bool(value.isfinite().all()) for value in weights_of(loop).values())


def test_stop_ends_the_run_and_keeps_the_last_healthy_checkpoint(tmp_path: Path) -> None:
    loop, log = bombed(tmp_path, Bomb(at=6), policy="stop")
    stop = StopRequest()
    assert not loop.run(stop)
    assert loop.diagnosis is not None and loop.diagnosis.startswith(BLAME)
    assert stop.reason == "health.policy = 'stop'"
    assert loop.images_seen == 64
    assert {seen: state["health"]["healthy_at"] for seen, state in states(tmp_path).items()} == {
        32: 32,
        64: 32,
    }
    assert [event["what"] for event in events(log, "stop")] == [loop.diagnosis]


def test_warn_goes_on_and_never_prunes_the_last_healthy_checkpoint(tmp_path: Path) -> None:
    loop, log = bombed(tmp_path, Bomb(at=6), images=192, policy="warn")
    assert run(loop)
    assert loop.diagnosis is None
    assert len(events(log, "finding")) == len(log.events) == 1
    # Two are kept, and the healthy one.
    assert list(states(tmp_path)) == [32, 160, 192]


def test_a_stopped_run_stops_again_when_it_is_resumed_as_it_is(tmp_path: Path) -> None:
    loop, _ = bombed(tmp_path, Bomb(at=6), policy="stop")
    run(loop)
    again, _ = bombed(tmp_path, Bomb(at=-1), policy="stop")
    again.restore(*checkpoint.load_newest(tmp_path, print))
    assert not run(again)
    assert again.images_seen == 80


def test_rollback_recovers_from_a_nan_planted_once(tmp_path: Path) -> None:
    loop, log = bombed(tmp_path, Bomb(at=6), policy="rollback")
    assert run(loop)
    assert loop.diagnosis is None and loop.images_seen == 128 and all_finite(loop)
    [event] = events(log, "rollback")
    assert event["what"].startswith(BLAME)
    wanted = {"from": 64, "images_seen": 32, "rollback": 1, "of": 2, "lr_factor": {"d": 0.5, "g": 1.0}}
    assert {key: event[key] for key in wanted} == wanted
    assert log.lines[-1] == (
        "health: back at 32 images (rollback 1 of 2), with new random numbers and learning rates d x 0.5"
    )
    assert [row["images_seen"] for row in log.rows] == [8, 16, 32, 48, 64, 80, 96, 112, 128]
    rates = [(row["lr/d"], row["lr/g"]) for row in log.rows]
    (d, g), (d_after, g_after) = rates[0], rates[-1]
    assert (d_after, g_after) == (d / 2, g)
    assert {state["health"]["rollbacks"] for state in states(tmp_path).values()} == {1}


def test_after_a_rollback_the_random_numbers_are_others(tmp_path: Path) -> None:
    loop, _ = bombed(tmp_path, Bomb(at=6), policy="rollback")
    before = loop.batches.indices(5)
    assert run(loop)
    assert loop.game.seed != 0 and loop.batches.seed == loop.game.seed
    assert not torch.equal(before, loop.batches.indices(5))


def test_rollback_gives_up_after_so_many(tmp_path: Path) -> None:
    loop, log = bombed(tmp_path, Bomb(at=6, lasting=True), policy="rollback", rollbacks=2)
    assert not run(loop)
    assert [event["rollback"] for event in events(log, "rollback")] == [1, 2]
    assert loop.diagnosis is not None
    assert loop.diagnosis.endswith("(after 2 rollbacks, the maximum of health.rollbacks)")
    # The first one changed nothing, so the second lowers both.
    assert loop.guard.history.lr == {"d": 0.25, "g": 0.5}
    assert Bomb.calls < 20
    healthy = states(tmp_path)[32]
    assert healthy["health"]["healthy_at"] == 32


def test_a_run_that_is_ill_from_the_start_goes_back_to_its_start(tmp_path: Path) -> None:
    loop, log = bombed(tmp_path, Bomb(at=0), policy="rollback")
    assert run(loop)
    assert [event["images_seen"] for event in events(log, "rollback")] == [0]
    assert all_finite(loop)


def test_a_run_killed_after_a_rollback_resumes_exactly(tmp_path: Path) -> None:
    straight, _ = bombed(tmp_path / "straight", Bomb(at=6), policy="rollback")
    assert run(straight)

    class After(StopRequest):
        left = 10

        def __bool__(self) -> bool:
            self.left -= 1
            return self.left <= 0

    broken, _ = bombed(tmp_path / "broken", Bomb(at=6), policy="rollback")
    assert not broken.run(After())
    assert broken.guard.history.rollbacks == 1
    resumed, log = bombed(tmp_path / "broken", Bomb(at=-1), policy="rollback")
    resumed.restore(*checkpoint.load_newest(tmp_path / "broken", log.say))
    assert run(resumed)
    expected, found = weights_of(straight), weights_of(resumed)
    assert [name for name in expected if not torch.equal(expected[name], found[name])] == []
    assert resumed.guard.state() == straight.guard.state()


class Killed(BaseException):
    """What no code of the run catches."""


class Filed(Recorder):
    """Events go to a file; the process is killed at the tick number `until`."""

    def __init__(self, file: Path, until: int) -> None:
        super().__init__()
        self.file, self.until = file, until

    def event(self, event: Any) -> None:
        append_event(self.file, event)

    def tick(self, images_seen: int) -> None:
        self.until -= 1
        if self.until == 0:
            raise Killed


def test_events_after_a_kill_are_those_of_an_undisturbed_run(tmp_path: Path) -> None:
    def train(name: str, bomb: Bomb, until: int = 0, resumes: bool = False) -> list[dict[str, Any]]:
        folder = tmp_path / name
        loop, _ = bombed(folder, bomb, policy="rollback")
        loop.observer = log = Filed(folder / "events.jsonl", until)
        if resumes:
            tensors, state = checkpoint.load_newest(folder, log.say)
            loop.restore(tensors, state)
            loop.events = cut(log.file, state["events"], loop.images_seen)
        if until:
            with pytest.raises(Killed):
                run(loop)
            loop.saver.wait()
        else:
            assert run(loop)
        return read_events(log.file)

    whole = train("straight", Bomb(at=6))
    assert [event["event"] for event in whole] == ["finding", "rollback"]
    # The rollback is after 7 ticks; the next checkpoints are 4 and 8 iterations later.
    for until in (8, 9, 12, 16):
        name = f"killed-{until}"
        assert train(name, Bomb(at=6), until) == whole
        append_event(tmp_path / name / "events.jsonl", {"event": "finding", "images_seen": 999})
        assert train(name, Bomb(at=-1), resumes=True) == whole


def run_folder(path: Path) -> RunFolder:
    run = RunFolder.create(path, {"health": {"grace": 0}}, {})
    log = MetricsLog(run.metrics)
    for seen in (64, 128):
        log.append({"iteration": seen // 8, "images_seen": seen, "loss/g": float("nan")})
    append_event(
        run.events, {"event": "finding", "images_seen": 64, "diagnosis": "non_finite", "what": "a <b>"}
    )
    append_event(run.events, {"event": "rollback", "images_seen": 32, "from": 64, "what": "because"})
    append_event(
        run.events, {"event": "finding", "images_seen": 128, "diagnosis": "oscillation", "what": "c"}
    )
    return run


def test_any_run_can_be_looked_through_afterwards(tmp_path: Path) -> None:
    run = run_folder(tmp_path / "run")
    result = CliRunner().invoke(health, [str(run.path)])
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert lines[0] == "non_finite at 64 images: loss/g not finite"
    assert lines[1].startswith("  try: lower the learning rate")
    assert lines[2:] == ["rollback at 32 images: because"]


def test_a_resumed_run_drops_the_events_that_it_records_again(tmp_path: Path) -> None:
    run = run_folder(tmp_path / "run")
    whole = read_events(run.events)
    assert (cut(run.events, 9, 0), read_events(run.events)) == (3, whole)
    assert (cut(run.events, 2, 0), read_events(run.events)) == (2, whole[:2])
    assert cut(tmp_path / "none", 1, 0) == 0


def test_checkpoints_of_older_versions_do_not_count_events(tmp_path: Path) -> None:
    run = run_folder(tmp_path / "run")
    assert cut(run.events, None, 64) == 2
    assert [(event["event"], event["images_seen"]) for event in read_events(run.events)] == [
        ("finding", 64),
        ("rollback", 32),
    ]


def test_the_report_shows_what_happened(tmp_path: Path) -> None:
    page = write_report(run_folder(tmp_path / "run")).read_text()
    assert "<li>non_finite at 64 images: a &lt;b&gt;</li>" in page
    assert "<li>rollback at 32 images: because</li>" in page


def test_the_exit_code_of_a_run_that_its_policy_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ganforge.cli import cli
    from ganforge.training import run as training

    ended = training.Outcome(
        tmp_path / "run", False, 64, stopped_by="x", diagnosis="mode_collapse at 64 images: x", healthy_at=32
    )
    monkeypatch.setattr(training, "resume", lambda *_: ended)
    result = CliRunner().invoke(cli, ["resume", str(tmp_path / "run")])
    assert result.exit_code == 3
    assert "mode_collapse at 64 images: x" in result.output
    assert "last healthy checkpoint: after 32 images" in result.output


class Record:
    """What a W&B run is told."""

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.alerts: list[str] = []

    def log(self, entry: dict[str, Any]) -> None:
        self.rows.append(entry["images_seen"])

    def alert(self, title: str, text: str, **how: Any) -> None:
        self.alerts.append(f"{title}: {text}")


def test_the_mirror_follows_a_rollback_and_alerts(tmp_path: Path) -> None:
    run = run_folder(tmp_path / "run")
    mirror = Mirror(run, run.wandb, Request("", {}, "W&B", "id", "n"), "")
    record = Record()
    told: Any = record
    sink, feed = WandbSink(told, "", ""), Feed(run.metrics, (-1, 0), -1, purges=False)
    mirror._copy(sink, feed)
    truncate_after(run.metrics, 64)
    append_event(run.events, {"event": "rollback", "images_seen": 64, "what": "because"})
    log = MetricsLog(run.metrics)
    for seen in (96, 128, 160):
        log.append({"iteration": seen // 8, "images_seen": seen, "loss/g": 1.0})
        mirror._copy(sink, feed)
    # 96 and 128 are behind what W&B has, and it takes no row back.
    assert record.rows == [64, 128, 160]
    # Events from before the mirror started are not reported again.
    assert record.alerts == ["rollback at 64 images: because"]


def test_a_state_is_plain_data(tmp_path: Path) -> None:
    loop, _ = bombed(tmp_path, Bomb(at=6), policy="warn")
    run(loop)
    _, state = loop.state()
    assert json.loads(json.dumps(state["health"])) == state["health"] | {
        "sentinel": json.loads(json.dumps(state["health"]["sentinel"]))
    }
