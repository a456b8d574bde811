"""A finished run to evaluate, the metrics to do it with, and what was recorded."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from ganforge_datasets.iclevr import ICLEVR
from support.command_line import EXAMPLE, TINY, call, sets
from support.judges import blank_judge

METRICS = """
[[metrics]]
type = "condition_accuracy"
judge = "judge"
conditions = "asked.json"
repeats = 3

[[metrics]]
type = "condition_accuracy"
judge = "judge"
conditions = "asked.json"
repeats = 2
name = "raw"
seed = 9
"""
DISTANCE = '[[metrics]]\ntype = "sliced_wasserstein"\nsamples = 8\n'


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run, a judge that fits its data, conditions and metrics."""
    folder = tmp_path_factory.mktemp("evaluate")
    assert call(folder, "run", EXAMPLE, "--out", "mine", *sets(*TINY)).code == 0
    blank_judge(ICLEVR(image_size=16).spec(), trained_on={"images": 5}).save(folder / "judge")
    (folder / "asked.json").write_text('[["red cube"], ["gray sphere", "blue cube"]]')
    (folder / "m.toml").write_text(METRICS)
    (folder / "d.toml").write_text(DISTANCE)
    return folder


@pytest.fixture
def place(finished: Path, tmp_path: Path) -> Path:
    """The same in a folder that a test may spoil."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    return tmp_path


def records(place: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (place / "mine" / "evaluations.jsonl").read_text().splitlines()]


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
