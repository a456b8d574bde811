"""Sweeps: the file, the choices, and what becomes of trials; with a program that stands in for the
training, so that hundreds of iterations take a moment."""

from __future__ import annotations

import fcntl
import json
import math
import os
import random
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT

from ganforge.api import UserError
from ganforge.config import load
from ganforge.engine import StopRequest
from ganforge.registry import discover
from ganforge.sweep import child
from ganforge.sweep.child import alone
from ganforge.sweep.folder import Life, SweepFolder
from ganforge.sweep.load import load_sweep
from ganforge.sweep.report import importances, write_report
from ganforge.sweep.space import category, distributions, ends, grid, grid_size, overrides
from ganforge.sweep.spec import Parameter, Sweep
from ganforge.sweep.study import open_study
from ganforge.sweep.summary import summarize
from ganforge.sweep.worker import Outcome, sweep

optuna = pytest.importorskip("optuna", reason="a sweep needs Optuna: pip install 'ganforge[sweep]'")

RUN = """
[data]
type = "toy2d"

[nets]
type = "mlp"

[generator.optimizer]
type = "adam"

[discriminator.optimizer]
type = "adam"

[train]
images = 640

[[metrics]]
type = "modes"
every = 64
"""

SWEEP = """
run = "run.toml"
trials = 6

[objective]
metric = "high_quality"
direction = "maximize"

[sampler]
type = "random"
seed = 3

[storage]
grace_s = 60.0

[[parameters]]
key = "generator.optimizer.lr"
kind = "float"
low = 1e-5
high = 1e-2
log = true
"""

STUB = '''
"""Stands in for `ganforge run`: writes rows whose metric is highest for lr = 1e-3. `train.seed` says
what happens on the way."""
import json, math, os, signal, sys, time
from pathlib import Path

out = Path(sys.argv[sys.argv.index("--out") + 1])
given = dict(word.removeprefix("--set=").split("=", 1) for word in sys.argv if word.startswith("--set="))
lr, fate = float(given["generator.optimizer.lr"]), int(given.get("train.seed", 0))
assert given["train.resume"] == "auto"
out.mkdir(parents=True, exist_ok=True)
log = out / "metrics.jsonl"
with (out / "starts").open("a") as starts:
    starts.write("start\\n")
times = len((out / "starts").read_text().splitlines())
rows = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def end(number, frame):
    sys.exit(75)


def save(seen):
    folder = out / "checkpoints" / f"{seen:012d}"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")


signal.signal(signal.SIGTERM, end)
if fate == 2:
    sys.stderr.write("run.toml:3: train.images: no good\\n")
    sys.exit(2)
if fate == 7:
    raise RuntimeError("out of memory")
for seen in range(64 * len(rows) + 64, 641, 64):
    row = {"images_seen": seen, "loss/d": 1.0, "metric/high_quality": seen / 640 - (math.log10(lr) + 3) ** 2}
    if fate == 1 and seen == 128:
        row |= {"loss/d": None, "nonfinite": ["loss/d"]}
    with log.open("a") as file:
        file.write(json.dumps(row) + "\\n")
    if fate == 1 and seen == 128:
        time.sleep(60)
    if fate == 3 and seen == 128:
        sys.exit(3)
    if fate == 4 and seen in (128, 384) and times < 3:
        save(seen)
        os.kill(os.getpid(), signal.SIGKILL)
    if fate == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    if (fate == 6 and lr < 5e-4) or (fate == 8 and times == 1 and seen == 192):
        time.sleep(600)
'''


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a run file, a sweep file and the stub in place of the training."""
    (tmp_path / "run.toml").write_text(RUN)
    (tmp_path / "s.toml").write_text(SWEEP)
    (tmp_path / "stub.py").write_text(STUB)
    monkeypatch.setattr(child, "PROGRAM", (str(tmp_path / "stub.py"),))
    monkeypatch.setattr("ganforge.sweep.trial.POLL_S", 0.02)
    monkeypatch.setattr("ganforge.sweep.worker.WAIT_S", 0.05)
    return tmp_path


class Stop(StopRequest):
    """Comes as soon as `when` holds."""

    def __init__(self, when: Callable[[], bool]) -> None:
        super().__init__()
        self.when = when

    def __bool__(self) -> bool:
        self.reason = "enough" if self.when() else None
        return self.reason is not None


def work(
    place: Path, said: list[str] | None = None, when: Callable[[], bool] = lambda: False, **options: Any
) -> Outcome:
    stop = Stop(when)
    say = (said if said is not None else []).append
    return sweep(place / "s.toml", discover(), stop, say, place / "out", **options)


def fated(place: Path, *fates: int) -> None:
    """A grid with one trial for each fate, all with the best learning rate."""
    text = SWEEP.split("[[parameters]]")[0].replace('"random"', '"grid"')
    text += f'[[parameters]]\nkey = "train.seed"\nkind = "choice"\nchoices = {list(fates)}\n'
    text = text.replace("trials", 'set = ["generator.optimizer.lr=1e-3"]\ntrials')
    (place / "s.toml").write_text(text)


def refusal(place: Path, *changes: tuple[str, str]) -> list[str]:
    text = SWEEP.lstrip()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (place / "s.toml").write_text(text)
    with pytest.raises(UserError) as caught:
        load_sweep(place / "s.toml", discover())
    return str(caught.value).replace(f"{place}/", "").splitlines()


def has_begun(place: Path) -> Callable[[], bool]:
    """Whether trial 0 has written a row."""
    return (place / "out" / "trials" / "0000" / "metrics.jsonl").exists


def starts(place: Path, number: int) -> int:
    return len((place / "out" / "trials" / f"{number:04d}" / "starts").read_text().splitlines())


# The file


def test_an_unlike_key_is_refused_with_its_line(place: Path) -> None:
    said = refusal(place, ("optimizer.lr", "optimizer.lrr"))
    assert said == [
        "s.toml:16: parameters.0.key: the run file refuses generator.optimizer.lrr=1e-05: "
        "generator.optimizer.lrr: unknown key 'lrr'; did you mean 'lr'? "
        "(keys: type, lr, betas, eps)"
    ]


def test_a_value_that_the_run_file_would_refuse_is_told_before_anything_starts(place: Path) -> None:
    (said,) = refusal(
        place, ('"float"', '"choice"'), ("low = 1e-5\nhigh = 1e-2\nlog = true", "choices = [1e-3, -1.0]")
    )
    assert said.startswith(
        "s.toml:16: parameters.0.key: the run file refuses generator.optimizer.lr=-1.0: generator.optimizer.lr: "
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([("low = 1e-5\n", "")], "s.toml:15: parameters.0.low: is missing"),
        (
            [("low = 1e-5", "low = 0.0")],
            "s.toml:18: parameters.0.low: has to exceed 0 where log = true, got 0",
        ),
        (
            [("high = 1e-2", "high = 1e-6")],
            "s.toml:19: parameters.0.high: has to exceed low, 1e-05; got 1e-06",
        ),
        (
            [("log = true", "log = true\nstep = 1e-5")],
            "s.toml:21: parameters.0.step: and log = true exclude each other",
        ),
        (
            [('"float"', '"int"'), ("1e-5", "0.5"), ("1e-2", "4")],
            "s.toml:18: parameters.0.low: has to be a whole number, got 0.5",
        ),
        (
            [("log = true", "lig = true")],
            "s.toml:20: parameters.0.lig: unknown key 'lig'; did you mean 'log'? "
            "(keys: key, kind, low, high, log, step, choices)",
        ),
        (
            [("seed = 3", "seed = -1")],
            "s.toml:10: sampler.seed: should be greater than or equal to 0, got -1",
        ),
        (
            [('"random"', '"grid"')],
            's.toml:17: parameters.0.kind: a grid needs a step here, or kind = "choice"',
        ),
        (
            [('"high_quality"', "3")],
            "s.toml:5: objective.metric: should be a valid string, got 3",
        ),
        ([("[[parameters]]", "[parameters]")], "s.toml:15: parameters: should be a valid array, got"),
    ],
)
def test_mistakes_are_told_with_their_line(
    place: Path, changes: list[tuple[str, str]], expected: str
) -> None:
    (said,) = refusal(place, *changes)
    assert said.startswith(expected)


def test_a_run_without_metrics_cannot_be_judged(place: Path) -> None:
    (place / "run.toml").write_text(RUN.split("[[metrics]]")[0])
    assert refusal(place) == [
        "s.toml:5: objective.metric: run.toml has no [[metrics]], so no trial would ever have a value 'high_quality'"
    ]


def test_a_key_that_is_there_twice_is_refused(place: Path) -> None:
    block = SWEEP[SWEEP.index("[[parameters]]") :]
    (said,) = refusal(place, (block, block + "\n" + block))
    assert said == "s.toml:23: parameters.1.key: 'generator.optimizer.lr' is there twice"


# The choices


def parameter(**keys: Any) -> Parameter:
    return Parameter.model_validate_json(json.dumps({"key": "a.b", **keys}))


def test_a_grid_has_every_point_once_and_its_ends() -> None:
    lr = parameter(kind="float", low=0.1, high=0.3, step=0.1)
    width = parameter(kind="int", low=8, high=64, step=28).model_copy(update={"key": "w"})
    net = parameter(kind="choice", choices=["x", [1, 2]]).model_copy(update={"key": "n"})
    points = grid([lr, width, net])
    assert len(points) == grid_size([lr, width, net]) == 3 * 3 * 2
    assert len({tuple(point.values()) for point in points}) == 18
    assert sorted({point["w"] for point in points}) == [8, 36, 64]
    assert [round(float(value), 9) for value in sorted({point["a.b"] for point in points})] == [0.1, 0.2, 0.3]
    assert points[0] == {"a.b": 0.1, "w": 8, "n": "x"}
    assert points[1]["n"] == category((1, 2)) == "[1, 2]"


def test_values_are_written_as_toml() -> None:
    given = [
        (parameter(kind="choice", choices=["adam", [0.0, 0.9], True]), "adam", 'a.b="adam"'),
        (parameter(kind="choice", choices=["adam", [0.0, 0.9], True]), "[0.0, 0.9]", "a.b=[0.0, 0.9]"),
        (parameter(kind="choice", choices=["adam", [0.0, 0.9], True]), True, "a.b=true"),
        (parameter(kind="float", low=1e-5, high=1), 1e-5, "a.b=1e-05"),
        (parameter(kind="int", low=1, high=8), 4, "a.b=4"),
    ]
    for each, value, expected in given:
        assert overrides([each], {"a.b": value}) == [expected]
    assert ends(parameter(kind="int", low=1, high=8)) == ["a.b=1", "a.b=8"]


def test_distributions_are_those_of_the_file() -> None:
    kinds = optuna.distributions
    for each, expected in (
        (parameter(kind="float", low=1e-5, high=1, log=True), kinds.FloatDistribution(1e-5, 1, log=True)),
        (parameter(kind="float", low=0, high=1, step=0.25), kinds.FloatDistribution(0, 1, step=0.25)),
        (parameter(kind="int", low=2, high=8, step=2), kinds.IntDistribution(2, 8, step=2)),
        (parameter(kind="choice", choices=["a", 2]), kinds.CategoricalDistribution(["a", 2])),
    ):
        assert distributions([each]) == {"a.b": expected}


def test_a_trial_draws_the_same_whoever_draws_it(place: Path) -> None:
    """In one go, or in three."""
    whole = [dict(trial.parameters) for trial in work(place).summary.trials]
    assert len({trial["generator.optimizer.lr"] for trial in whole}) == 6
    (place / "out").rename(place / "before")
    for count in (1, 4, 6):
        parts = work(place, trials=count)
        assert len(parts.summary.trials) == count
    assert [dict(trial.parameters) for trial in parts.summary.trials] == whole


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
    assert said[0].startswith("trial 0 begins: generator.optimizer.lr=")
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


def test_a_stopped_sweep_goes_on_with_the_trial_it_left(place: Path) -> None:
    fated(place, 8, 0)
    first = work(place, when=has_begun(place))
    assert not first.finished
    assert [trial.state for trial in first.summary.trials] == ["running"]
    said: list[str] = []
    second = work(place, said)
    assert second.finished
    assert said[0].startswith("trial 0 goes on: train.seed=8")
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
        f"the sweep in {place}/out began with other settings (parameters); put them back, or begin another sweep "
        "with --out"
    )
    (place / "s.toml").write_text(SWEEP.replace("trials = 6", "trials = 2"))
    assert len(work(place).summary.trials) == 2


def test_a_folder_with_anything_else_is_left_alone(place: Path) -> None:
    (place / "out").mkdir()
    (place / "out" / "thesis.tex").write_text("all my work")
    with pytest.raises(UserError, match="exists already and is no sweep folder; choose another with --out"):
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
        "the environment variable MY_DB has to hold the URL of the database; type: "
        "export MY_DB=postgresql://user@host/database"
    )
    monkeypatch.setenv("MY_DB", "mysql://me:secret@host/db")
    with pytest.raises(UserError) as caught:
        work(place)
    assert "secret" not in str(caught.value)


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
        "On the way",
        "not finite at 128",
        "trials/0002",
    ):
        assert text in page
    assert page.count("<tr") == 1 + 3
    assert "<script" not in page and "http" not in page.replace("http://www.w3.org", "")


def test_importance_finds_the_parameter_that_matters(place: Path) -> None:
    block = SWEEP[SWEEP.index("[[parameters]]") :]
    (place / "s.toml").write_text(SWEEP + block.replace("generator", "discriminator"))
    loaded = load_sweep(place / "s.toml", discover())
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


# The examples


@pytest.mark.parametrize(
    "example", sorted((ROOT / "examples" / "sweeps").glob("*.toml")), ids=lambda path: path.stem
)
def test_each_example_fits_its_run_file(example: Path) -> None:
    assert load_sweep(example, discover()).sweep.trials >= 20


def test_the_agent_of_wandb_gives_its_values_to_a_run(tmp_path: Path) -> None:
    """As the agent expands it: `${args_no_hyphens}` is one word `key=value` for each parameter."""
    spec = yaml.safe_load((ROOT / "examples" / "sweeps" / "wandb.yaml").read_text())
    words = ["generator.optimizer.lr=0.0007", "generator.optimizer.betas=[0.5, 0.9]"]
    command = [
        part for each in spec["command"] for part in (words if each == "${args_no_hyphens}" else [each])
    ]
    (tmp_path / "ganforge").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (tmp_path / "ganforge").chmod(0o755)
    scene = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "WANDB_SWEEP_ID": "s1", "WANDB_RUN_ID": "r1"}
    given = subprocess.run(command, env=scene, capture_output=True, text=True, check=True).stdout.splitlines()
    assert given[:4] == ["run", "examples/toy/gan_ring8.toml", "--out", "runs/s1/r1"]
    assert given[-4:] == ["--set", words[0], "--set", words[1]]
    settings = [value for option, value in pairwise(given) if option == "--set"]
    assert load(ROOT / given[1], discover(), settings).generator.optimizer.model_dump()["lr"] == 0.0007
