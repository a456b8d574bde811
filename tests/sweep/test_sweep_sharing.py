"""Sweeps gone on with, by one worker or several: each trial is played to its end, and once."""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ganforge.api import UserError
from ganforge.sweep.folder import Life, SweepFolder
from ganforge.sweep.spec import Sweep
from ganforge.sweep.study import open_study
from support.deferred import deferred
from support.sweeps import SWEEP, fated, has_begun, starts, work
from support.sweeps import place as place

optuna = deferred("optuna", reason="a sweep needs Optuna: pip install 'ganforge[sweep]'")


def test_a_trial_draws_the_same_whoever_draws_it(place: Path) -> None:
    """In one go, or in three."""
    whole = [dict(trial.parameters) for trial in work(place).summary.trials]
    assert len({trial["generator.optimizer.lr"] for trial in whole}) == 6
    (place / "out").rename(place / "before")
    for count in (1, 4, 6):
        parts = work(place, trials=count)
        assert len(parts.summary.trials) == count
    assert [dict(trial.parameters) for trial in parts.summary.trials] == whole


def test_a_stopped_sweep_goes_on_with_the_trial_it_left(place: Path) -> None:
    fated(place, 8, 0)
    first = work(place, when=has_begun(place))
    assert not first.finished
    assert [trial.state for trial in first.summary.trials] == ["running"]
    said: list[str] = []
    second = work(place, said)
    assert second.finished
    assert said[0].startswith("trial 0 continues: train.seed=8")
    assert [(trial.number, trial.state) for trial in second.summary.trials] == [
        (0, "complete"),
        (1, "complete"),
    ]
    assert (starts(place, 0), starts(place, 1)) == (2, 1)
    seen = [
        json.loads(line)["images_seen"] for line in (second.summary.trials[0].run / "metrics.jsonl").open()
    ]
    assert seen == list(range(64, 641, 64))


def test_another_worker_is_gone_once_its_sign_is_old(place: Path) -> None:
    folder = SweepFolder(place / "out")
    folder.workers.mkdir(parents=True)
    with Life(folder, grace_s=30) as me, Life(folder, grace_s=30) as other:
        assert not me.has_left(other.name)
        before = (folder.workers / other.name).stat().st_mtime
        os.utime(folder.workers / other.name, (before - 29, before - 29))
        assert not me.has_left(other.name)
        os.utime(folder.workers / other.name, (before - 60, before - 60))
        assert me.has_left(other.name)
        assert me.has_left(None) and me.has_left("never-was-there")


def test_the_trial_of_a_dead_worker_is_taken_over(place: Path) -> None:
    fated(place, 8)
    (place / "s.toml").write_text((place / "s.toml").read_text().replace("grace_s = 60.0", "grace_s = 1.0"))
    work(place, when=has_begun(place))
    folder = SweepFolder(place / "out")
    (folder.workers / "ghost").touch()
    about = folder.read()
    study = open_study(
        folder.path, about["study"], Sweep.model_validate_json(json.dumps(about["sweep"])), 640
    )
    (left,) = study.get_trials(states=[optuna.trial.TrialState.RUNNING])
    optuna.Trial(study, left._trial_id).set_user_attr("worker", "ghost")
    outcome = work(place)
    assert outcome.finished and outcome.summary.counts == "1 complete"
    assert starts(place, 0) == 2


def test_a_trial_that_another_worker_has_taken_is_left_to_it(place: Path) -> None:
    fated(place, 8)
    taken: list[bool] = []

    def take() -> bool:
        """Once there is a row, gives the trial to another worker, who does not come."""
        if has_begun(place)() and not taken:
            folder = SweepFolder(place / "out")
            (folder.workers / "other").touch()
            about = folder.read()
            study = open_study(
                folder.path, about["study"], Sweep.model_validate(about["sweep"], strict=False), 640
            )
            optuna.Trial(study, 0).set_user_attr("worker", "other")
            taken.append(True)
        return any("taken over" in line for line in said)

    said: list[str] = []
    outcome = work(place, said, when=take)
    assert said[1].startswith("trial 0 taken over by another worker in ")
    assert outcome.summary.counts == "1 running" and not outcome.finished


def test_a_trial_whose_old_process_still_trains_is_waited_for(place: Path) -> None:
    fated(place, 0)
    run = place / "out" / "trials" / "0000"
    work(place, when=lambda: True)
    run.mkdir(parents=True)
    descriptor = os.open(run, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    began: list[bool] = []

    def release() -> None:
        time.sleep(0.5)
        began.append((run / "starts").exists())
        os.close(descriptor)

    thread = threading.Thread(target=release)
    thread.start()
    outcome = work(place)
    thread.join()
    assert began == [False]
    assert outcome.summary.counts == "1 complete" and starts(place, 0) == 1


def test_a_sweep_keeps_to_what_it_began_with(place: Path) -> None:
    work(place, trials=1)
    (place / "s.toml").write_text(SWEEP.replace("high = 1e-2", "high = 1e-3"))
    with pytest.raises(UserError) as caught:
        work(place)
    assert str(caught.value) == (
        f"the sweep in {place}/out was started with other settings (parameters); restore them, or start another sweep "
        "with --out"
    )
    (place / "s.toml").write_text(SWEEP.replace("trials = 6", "trials = 2"))
    assert len(work(place).summary.trials) == 2


def test_a_folder_with_anything_else_is_left_alone(place: Path) -> None:
    (place / "out").mkdir()
    (place / "out" / "thesis.tex").write_text("all my work")
    with pytest.raises(
        UserError, match="already exists and is not a sweep folder; choose another with --out"
    ):
        work(place)
    assert [path.name for path in (place / "out").iterdir()] == ["thesis.tex"]


def test_postgresql_wants_its_url_from_the_environment(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "s.toml").write_text(
        SWEEP.replace("[storage]", '[storage]\ntype = "postgresql"\nurl_from = "MY_DB"')
    )
    monkeypatch.delenv("MY_DB", raising=False)
    with pytest.raises(UserError) as caught:
        work(place)
    assert str(caught.value) == (
        "the environment variable MY_DB must hold the URL of the database; type: "
        "export MY_DB=postgresql://user@host/database"
    )
    monkeypatch.setenv("MY_DB", "mysql://me:secret@host/db")
    with pytest.raises(UserError) as caught:
        work(place)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("storage", ["journal", "sqlite"])
def test_workers_share_a_sweep(place: Path, storage: str) -> None:
    (place / "s.toml").write_text(SWEEP.replace("[storage]", f'[storage]\ntype = "{storage}"'))
    with ThreadPoolExecutor(3) as pool:
        outcomes = [each.result() for each in [pool.submit(work, place) for _ in range(3)]]
    for outcome in outcomes:
        assert outcome.finished and outcome.summary.counts == "6 complete"
        assert [trial.number for trial in outcome.summary.trials] == list(range(6))
    assert [starts(place, number) for number in range(6)] == [1] * 6
    assert len({tuple(trial.parameters.values()) for trial in outcomes[0].summary.trials}) == 6
