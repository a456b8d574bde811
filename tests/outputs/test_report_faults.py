"""The report of a run folder that is damaged, unfinished, or not to be believed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ganforge.api import UserError
from ganforge.outputs.grid import save_grid
from ganforge.outputs.metrics_log import MetricsLog
from ganforge.outputs.report import write_report
from ganforge.outputs.run_folder import RunFolder
from support.reported import INFO, make, noise, read


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return make(tmp_path / "a <run>")


def test_a_run_that_has_only_begun(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "new", {"seed": 1}, {})
    page = read(write_report(run))[1]
    assert "metrics.jsonl has no rows yet" in page.shown and "seed = 1" in page.shown
    assert "Networks on data, not trained yet." in page.shown


@pytest.mark.parametrize(
    "odd",
    [
        {"git": "x"},
        {"packages": ["y"], "parameters": None},
        {"data_spec": 7, "warnings": "none", "started": [1]},
        {"s\ud800": 1, "data": {"a": 1}, "processes": "many"},
        {"data_spec": {"shape": ["a"], "labels": {"names": 3}}, "run_command": "unclosed 'quote"},
    ],
)
def test_odd_values_in_run_json(run: RunFolder, odd: dict[str, Any]) -> None:
    run.info.write_text(json.dumps(INFO | odd))
    assert "trained on 1,280 images" in read(write_report(run))[1].shown


def test_damaged_lines_are_counted_and_left_out(run: RunFolder) -> None:
    with run.metrics.open("a") as file:
        file.write(
            '{"images_seen": "9"}\n[1]\nnot json\n{"images_seen": 1300, "loss/d": "high"}\n{"images_se'
        )
    MetricsLog(run.path / "evaluations.jsonl").append({"images_seen": 1, "metrics": 3})
    page = read(write_report(run))[1]
    assert "3 of 26 lines of metrics.jsonl are damaged and left out" in page.shown
    assert "1 of 1 lines of evaluations.jsonl are damaged and left out" in page.shown
    assert "trained on 1,300 images" in page.shown


def test_nothing_outside_the_run_folder_is_read(run: RunFolder, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    (secret / "conditions").mkdir(parents=True)
    save_grid(noise(4), secret / "0000000064.png")
    save_grid(noise(4), secret / "conditions" / "0000000064.png")
    (secret / "rows").write_text('{"images_seen": 99999, "loss/secret": 1.0}\n')
    run.grid(64).symlink_to(secret / "0000000064.png")
    (run.grids / "conditions").symlink_to(secret / "conditions")
    run.plots.symlink_to(secret)
    run.events.symlink_to(secret / "rows")
    os.mkfifo(run.grid(128))
    run.grid(192).write_text("hello")
    (secret / "000000099999").mkdir()
    run.checkpoints.rmdir()
    run.checkpoints.symlink_to(secret)
    content, page = read(write_report(run))
    assert not any("image/webp" in source for source in page.sources)
    assert "secret" not in content and "99,999" not in content
    assert "events.jsonl is not a regular file in the run folder and was not read" in page.shown


@pytest.mark.parametrize("name", ["config.toml", "run.json"])
def test_a_linked_config_is_refused(run: RunFolder, tmp_path: Path, name: str) -> None:
    (tmp_path / "passwords").write_text("secret = 1\n")
    (run.path / name).unlink()
    (run.path / name).symlink_to(tmp_path / "passwords")
    with pytest.raises(UserError) as error:
        write_report(run)
    assert str(error.value) == (
        f"{run.path / name}: expected a regular file in the run folder; restore the file that 'ganforge run' wrote"
    )


def test_a_linked_page_is_replaced_not_followed(run: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    run.report.symlink_to(tmp_path / "mine")
    write_report(run)
    assert (tmp_path / "mine").read_text() == "precious" and not run.report.is_symlink()
