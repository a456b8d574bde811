"""`ganforge runs`: how each run stands, from its records alone."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from ganforge.api import UserError
from ganforge.outputs.run_folder import RunFolder
from ganforge.outputs.run_list import ago, run_list
from support.command_line import call, refused

AGE_S = {"done": 30, "half": 4_000, "ill": 90_000, "early": 200_000, "odd": 300_000}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Runs of 100 images in each state."""

    def make(
        name: str, *rows: dict[str, object], saved: bool = True, keep: dict[str, object] | None = None
    ) -> RunFolder:
        run = RunFolder.create(
            tmp_path / "runs" / name, {"train": {"images": 100}, "logging": keep or {}}, {"started": "2026"}
        )
        run.metrics.write_text("".join(json.dumps(row) + "\n" for row in rows))
        if saved:
            (run.checkpoints / f"{50:012d}").mkdir()
        moment = time.time() - AGE_S[name.rpartition("/")[2]]
        os.utime(run.metrics, (moment, moment))
        return run

    best = {"keep_best": "fid", "best_is": "lowest"}
    make("done", {"images_seen": 50, "metric/fid": 3.5}, {"images_seen": 100, "metric/fid": 9.25}, keep=best)
    make("deep/half", {"images_seen": 50, "metric/modes": 7.0}, {"images_seen": 60, "metric/modes": None})
    ill = make("ill", {"images_seen": 50})
    ill.events.write_text('{"event": "stop", "images_seen": 50, "what": "x"}\n')
    make("early", {"images_seen": 7}, saved=False)
    make("odd", {"images_seen": "x"})
    (tmp_path / "runs" / "no run").mkdir()
    (tmp_path / "runs" / "link").symlink_to(ill.path)
    return tmp_path


def test_each_state_is_recognized(place: Path) -> None:
    found = {run.path.name: run for run in run_list(place / "runs")}
    assert list(found) == ["done", "half", "ill", "early", "odd"]
    assert [run.state for run in found.values()] == ["finished", "stopped", "failed", "failed", "unreadable"]
    assert (found["done"].metric, found["done"].value) == ("fid", 3.5)
    assert (found["half"].metric, found["half"].value, found["half"].images_seen) == ("modes", 7.0, 60)
    assert 30 <= found["done"].age_s < 90
    with RunFolder(place / "runs" / "deep" / "half").claimed():
        assert {run.path.name: run.state for run in run_list(place / "runs")}["half"] == "running"


def test_the_table(place: Path) -> None:
    done = call(place, "runs")
    assert done.out == (
        "RUN             STATE       IMAGES  DONE  METRIC   AGE\n"
        "runs/done       finished       100  100%  fid 3.5  30s\n"
        "runs/deep/half  stopped         60   60%  modes 7   1h\n"
        "runs/ill        failed          50   50%  -         1d\n"
        "runs/early      failed           7    7%  -         2d\n"
        "runs/odd        unreadable       0     -  -         3d\n"
    )
    assert done.err.startswith("runs/odd: runs/odd/metrics.jsonl:1: 'images_seen' is \"x\"; expected ")


def test_json_and_one_run_alone(place: Path) -> None:
    (only,) = json.loads(call(place, "runs", "runs/done", "--json").out)
    assert (only["path"], only["state"], only["value"], only["images"]) == ("runs/done", "finished", 3.5, 100)


def test_no_runs_and_no_folder(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    assert call(tmp_path, "runs").out == "no runs in runs\n"
    assert refused(tmp_path, "runs", "nowhere") == [
        "nowhere: there is no such folder; pass one with runs, such as runs"
    ]
    with pytest.raises(UserError):
        run_list(tmp_path / "nowhere")


def test_ages_in_one_unit() -> None:
    assert [ago(seconds) for seconds in (0.9, 59, 60, 3_599, 3_600, 86_400 * 8.9)] == [
        "0s", "59s", "1m", "59m", "1h", "8d",
    ]  # fmt: skip
