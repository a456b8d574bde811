"""Metrics of a resumed run: what a stop postponed is computed, and the best value is kept."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from ganforge.api import Metric, Sampler, Samples
from ganforge.engine.checkpoint import checkpoint
from ganforge.engine.distributed.stop_request import StopRequest
from support.command_line import EXAMPLE, TINY, call, contents, sets
from support.records import numbers
from support.toys import Recorder, toy_config, toy_loop, weights_of

# --- metrics that a stop puts off -------------------------------------------------------------


class Interrupting(Metric):
    """A metric during which a signal comes, the first time."""

    type: str = "interrupting"

    def compute(self, sampler: Sampler, samples: Samples) -> dict[str, float]:
        sampler.sample(1, self.seed)
        if self.seed not in SEEN:
            SEEN.append(self.seed)
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(30)
        return {"interrupting": float(sampler.sample(4, self.seed).sum())}


SEEN: list[int] = []


def with_metric(folder: Path, seed: int, images: int) -> tuple[Any, Recorder]:
    swd = {"type": "sliced_wasserstein", "samples": 16, "projections": 4, "every": 16}
    config = toy_config(metrics=[swd], train={"images": images}, logging={"every": 16})
    metric = Interrupting(every=32, seed=seed)
    return toy_loop(folder, config.model_copy(update={"metrics": (*config.metrics, metric)}))


@pytest.mark.parametrize("images", [32, 64])
def test_a_metric_is_cut_short_by_a_signal_and_made_up_for(tmp_path: Path, images: int) -> None:
    SEEN[:] = [0]
    straight, straight_log = with_metric(tmp_path / "straight", 0, images)
    assert straight.run(StopRequest())
    SEEN.clear()
    first, first_log = with_metric(tmp_path / "broken", 0, images)
    stop = StopRequest()
    with stop:
        assert not first.run(stop)
    assert (stop.reason, first.images_seen, first.owes_metrics) == ("SIGTERM received", 32, True)
    assert [row["images_seen"] for row in first_log.rows if "metric/interrupting" in row] == []
    for _ in range(2):
        second, second_log = with_metric(tmp_path / "broken", 0, images)
        second.restore(*checkpoint.load_newest(tmp_path / "broken", second_log.say))
        assert second.run(StopRequest())
        if second_log.rows:
            assert numbers(first_log.rows + second_log.rows) == numbers(straight_log.rows)
    # The second time there is nothing left to do.
    assert second_log.rows == []
    expected, found = weights_of(straight), weights_of(second)
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_rows_of_owed_metrics_are_taken_back(tmp_path: Path) -> None:
    from ganforge.outputs.metrics_log import truncate_after

    rows = [
        {"images_seen": 8, "metric/x": 1.0},
        {"images_seen": 16, "loss/d": 1.0},
        {"images_seen": 16, "metric/x": 2.0},
        {"images_seen": 24, "loss/d": 1.0},
    ]
    log = tmp_path / "metrics.jsonl"
    for owed, kept in ((False, rows[:3]), (True, rows[:2])):
        log.write_text("".join(json.dumps(row) + "\n" for row in rows))
        truncate_after(log, 16, owed)
        assert [json.loads(line) for line in log.read_text().splitlines()] == kept


# --- the best checkpoint ----------------------------------------------------------------------


class Rising(Metric):
    """1, 2, 3, 0, ...: the best is at the third look."""

    type: str = "rising"

    def compute(self, sampler: Sampler, samples: Samples) -> dict[str, float]:
        LOOKS.append(len(LOOKS) + 1)
        return {"score": [1.0, 2.0, 3.0, float("nan"), 0.0, 2.5][len(LOOKS) - 1]}


LOOKS: list[int] = []


@pytest.mark.parametrize(("best_is", "where"), [("highest", 24), ("lowest", 40)])
def test_the_best_checkpoint_is_kept(tmp_path: Path, best_is: str, where: int) -> None:
    LOOKS.clear()
    logging = {"keep_best": "score", "best_is": best_is, "keep_checkpoints": 1, "checkpoint_every": 48}
    config = toy_config(logging=logging).model_copy(update={"metrics": (Rising(every=8),)})
    loop, log = toy_loop(tmp_path, config)
    assert loop.run(StopRequest())
    assert [path.name for path in checkpoint.complete(tmp_path)] == [f"{where:012d}", f"{48:012d}"]
    best = checkpoint.best_of(tmp_path)
    assert best is not None and best.name == f"{where:012d}"
    assert checkpoint.load(best)[1]["images_seen"] == where
    assert log.lines == []
    # A resumed run knows what there is to beat.
    again, _ = toy_loop(tmp_path, config)
    again.restore(*checkpoint.load_newest(tmp_path, log.say))
    named = json.loads((tmp_path / "best.json").read_text())
    del named["sha256"]
    assert again.best.state() == loop.best.state() == named


def test_a_best_that_no_metric_gives_is_said_once(tmp_path: Path) -> None:
    LOOKS.clear()
    config = toy_config(logging={"keep_best": "scroe"}).model_copy(update={"metrics": (Rising(every=16),)})
    loop, log = toy_loop(tmp_path, config)
    assert loop.run(StopRequest())
    assert log.lines == [
        "warning: logging.keep_best = 'scroe' is not a value of the run's metrics (score); no best checkpoint is kept"
    ]
    assert checkpoint.best_of(tmp_path) is None


def test_a_best_without_any_metric_is_refused_at_once(tmp_path: Path) -> None:
    done = call(tmp_path, "run", EXAMPLE, "--out", "mine", *sets(*TINY, "logging.keep_best=score"))
    assert (done.code, done.err) == (
        2,
        "--set logging.keep_best=score: logging.keep_best = 'score' needs a metric, but the run file has none; add a [[metrics]] table\n",
    )
    assert contents(tmp_path) == {}
