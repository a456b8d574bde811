"""Sweeps: what becomes of trials, which is the best, and what the report says."""

from __future__ import annotations

import math
import random
from pathlib import Path

import pytest

from ganforge.api import UserError
from ganforge.sweep.child import alone
from ganforge.sweep.folder import SweepFolder
from ganforge.sweep.load import load_sweep
from ganforge.sweep.report import importances, write_report
from ganforge.sweep.space import distributions
from ganforge.sweep.summary import summarize
from support.deferred import deferred
from support.installed import installed
from support.sweeps import SWEEP, fated, starts, work
from support.sweeps import place as place

optuna = deferred("optuna", reason="a sweep needs Optuna: pip install 'ganforge[sweep]'")


# What becomes of trials


def test_the_best_trial_is_that_with_the_highest_value(place: Path) -> None:
    said: list[str] = []
    outcome = work(place, said)
    values = [
        1 - (math.log10(float(t.parameters["generator.optimizer.lr"])) + 3) ** 2
        for t in outcome.summary.trials
    ]
    assert outcome.finished
    assert [trial.value for trial in outcome.summary.trials] == pytest.approx(values, rel=1e-12)
    assert outcome.summary.best is not None
    assert outcome.summary.best.number == values.index(max(values))
    assert list(outcome.summary.trials[0].values) == list(range(64, 641, 64))
    assert said[0].startswith("trial 0 starts: generator.optimizer.lr=")
    assert said[-1].endswith(f"6 of 6 done; best {max(values):.4g} (trial {values.index(max(values))})")
    assert list((place / "out" / "workers").iterdir()) == []


def test_minimizing_takes_the_lowest(place: Path) -> None:
    (place / "s.toml").write_text(SWEEP.replace("maximize", "minimize"))
    outcome = work(place)
    values = [trial.value for trial in outcome.summary.trials]
    assert outcome.summary.best is not None and outcome.summary.best.value == min(
        v for v in values if v is not None
    )


def test_each_fate_is_recorded_and_none_ends_the_sweep(place: Path) -> None:
    fated(place, 0, 1, 2, 3, 5, 7)
    outcome = work(place)
    found = [(trial.state, trial.why) for trial in outcome.summary.trials]
    assert outcome.finished and outcome.summary.counts == "1 complete, 2 pruned, 3 failed"
    assert found == [
        ("complete", ""),
        ("pruned", "diverged: loss/d not finite at 128 images"),
        ("failed", "refused: run.toml:3: train.images: no good"),
        ("pruned", "ended by its health policy: "),
        ("failed", "its process was killed twice at 0 images"),
        ("failed", "crashed (exit code 1): RuntimeError: out of memory"),
    ]
    assert starts(place, 4) == 2


def test_a_killed_process_is_started_again_as_long_as_it_gets_further(place: Path) -> None:
    fated(place, 4)
    outcome = work(place)
    assert [(trial.state, trial.value) for trial in outcome.summary.trials] == [("complete", 1.0)]
    assert starts(place, 0) == 3


def test_a_metric_that_the_run_does_not_have_ends_the_sweep(place: Path) -> None:
    (place / "s.toml").write_text(SWEEP.replace('"high_quality"', '"fid"'))
    with pytest.raises(UserError, match=r"trial 0 has no value 'fid' \(its values: high_quality\)"):
        work(place)


def test_the_worse_half_is_pruned_at_its_first_value(place: Path) -> None:
    text = (
        SWEEP.split("[[parameters]]")[0].replace('"random"', '"grid"')
        + '[pruner]\ntype = "median"\nstartup = 1\n'
    )
    text += '[[parameters]]\nkey = "generator.optimizer.lr"\nkind = "choice"\nchoices = [1e-3, 1e-4]\n'
    text += '[[parameters]]\nkey = "train.seed"\nkind = "choice"\nchoices = [6]\n'
    (place / "s.toml").write_text(text)
    good, bad = work(place).summary.trials
    assert (good.state, bad.state) == ("complete", "pruned")
    assert bad.why == f"worse than others at {max(bad.values)} images"
    assert len(bad.values) < 10
    assert bad.value == pytest.approx(max(bad.values) / 640 - 1)


def test_best_value_on_the_way_counts_where_asked_for(place: Path) -> None:
    text = SWEEP.replace('direction = "maximize"', 'direction = "minimize"\ntake = "best"')
    (place / "s.toml").write_text(text)
    for trial in work(place, trials=2).summary.trials:
        lr = float(trial.parameters["generator.optimizer.lr"])
        assert trial.value == pytest.approx(0.1 - (math.log10(lr) + 3) ** 2)


def test_trials_do_not_take_each_other_for_one_run() -> None:
    cluster = {"RANK": "1", "WORLD_SIZE": "4", "MASTER_ADDR": "n1", "SLURM_STEP_ID": "0", "PET_NNODES": "2"}
    assert alone({**cluster, "PATH": "/bin", "SLURM_JOB_ID": "7"}) == {"PATH": "/bin", "SLURM_JOB_ID": "7"}


# The report


def test_the_report_holds_every_trial_and_asks_for_nothing(place: Path) -> None:
    fated(place, 0, 1, 2)
    outcome = work(place)
    page = write_report(outcome.folder).read_text()
    for text in (
        "Parallel coordinates",
        "Importance",
        "History",
        "Learning curves",
        "not finite at 128",
        "trials/0002",
    ):
        assert text in page
    assert page.count("<tr") == 1 + 3
    assert "<script" not in page and "http" not in page.replace("http://www.w3.org", "")


def test_importance_finds_the_parameter_that_matters(place: Path) -> None:
    block = SWEEP[SWEEP.index("[[parameters]]") :]
    (place / "s.toml").write_text(SWEEP + block.replace("generator", "discriminator"))
    loaded = load_sweep(place / "s.toml", installed())
    study, rng = optuna.create_study(direction="maximize"), random.Random(0)
    for _ in range(60):
        g, d = (10 ** rng.uniform(-5, -2) for _ in range(2))
        study.add_trial(
            optuna.trial.create_trial(
                params={"generator.optimizer.lr": g, "discriminator.optimizer.lr": d},
                distributions=distributions(loaded.sweep.parameters),
                value=-((math.log10(g) + 3) ** 2),
            )
        )
    shares = importances(study, summarize(study, loaded.sweep, SweepFolder(place)))
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["generator.optimizer.lr"] > 0.8
