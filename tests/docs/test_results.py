"""The table of the examples: what the run folders hold, and nothing else."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from support.paths import EXAMPLES


@pytest.fixture(scope="module")
def results() -> ModuleType:
    spec = importlib.util.spec_from_file_location("results", EXAMPLES / "results.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_run(folder: Path, **info: Any) -> Path:
    folder.mkdir(parents=True)
    known = {"device": "cpu", "cpu": {"model": "a processor", "threads": 8}}
    (folder / "run.json").write_text(json.dumps(known | info))
    (folder / "config.toml").write_text("[train]\nseed = 3\n")
    rows = [
        {"images_seen": 100, "seconds": 60.0, "metric/modes": 7.0, "metric/high_quality": 0.5},
        {"images_seen": 1200, "seconds": 150.0},
        {"images_seen": 1200, "metric/modes": 8.0, "metric/high_quality": 0.9736},
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def write_checkpoint(folder: Path, images_seen: int, **state: Any) -> None:
    checkpoint = folder / "checkpoints" / f"{images_seen:012}"
    checkpoint.mkdir(parents=True)
    (checkpoint / "manifest.json").write_text(json.dumps({"state": state}))


def test_a_row_holds_the_last_values_and_what_was_paid_for_them(results: ModuleType, tmp_path: Path) -> None:
    write_run(tmp_path / "toy-b", cpu={"threads": 8, "used": 1})
    (write_run(tmp_path / "toy-a", device="cuda", gpu="NVIDIA H200") / "evaluations.jsonl").write_text(
        json.dumps({"metrics": [{"values": {"high_quality": 0.25, "high_quality_std": 0.011}}]}) + "\n"
    )
    assert results.table(tmp_path).splitlines()[2:] == [
        "| toy-a | modes hit: 8; samples within 3 sigma: 25.0% ± 1.1% | 1,200 | 2 min | NVIDIA H200 | 3 |",
        "| toy-b | modes hit: 8; samples within 3 sigma: 97.4% | 1,200 | 2 min | 1 of 8 CPU threads | 3 |",
    ]


def test_threads_of_a_run_that_did_not_write_them_down(results: ModuleType, tmp_path: Path) -> None:
    info = json.loads((write_run(tmp_path / "run") / "run.json").read_text())
    assert results.device(tmp_path / "run", info) == "at most 8 CPU threads"
    write_checkpoint(tmp_path / "run", 100)
    assert results.device(tmp_path / "run", info) == "at most 8 CPU threads"
    write_checkpoint(tmp_path / "run", 200, stamp={"surroundings": {"threads": "2"}})
    assert results.device(tmp_path / "run", info) == "2 of 8 CPU threads"


def test_the_table_is_renewed_and_keeps_the_rows_of_other_runs(
    results: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_run(tmp_path / "runs" / "toy-a")
    page = tmp_path / "README.md"
    head = "\n".join(results.HEAD)
    kept = "| toy-0 | modes hit: 5 | 100 | 1 min | 1 of 2 CPU threads | 4 |"
    page.write_text(f"above\n{results.BEGIN}\n{head}\n| toy-a | old |\n{kept}\n{results.END}\nbelow\n")
    monkeypatch.setattr(results, "HERE", tmp_path)
    monkeypatch.setattr("sys.argv", ["results.py", "table", str(tmp_path / "runs")])
    results.main()
    (measured,) = results.table(tmp_path / "runs").splitlines()[2:]
    assert "modes hit: 8" in measured
    expected = f"above\n{results.BEGIN}\n{head}\n{kept}\n{measured}\n{results.END}\nbelow\n"
    assert page.read_text() == expected
    results.main()
    assert page.read_text() == expected


def test_a_run_without_rows_is_left_out(results: ModuleType, tmp_path: Path) -> None:
    write_run(tmp_path / "runs" / "toy-a")
    (write_run(tmp_path / "runs" / "toy-b") / "metrics.jsonl").write_text("")
    (write_run(tmp_path / "runs" / "toy-c") / "metrics.jsonl").unlink()
    assert [line[:8] for line in results.table(tmp_path / "runs").splitlines()[2:]] == ["| toy-a "]


@pytest.mark.parametrize("arguments", [[], ["table"], ["tables", "runs"]])
def test_what_to_type_is_said(
    results: ModuleType, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["results.py", *arguments])
    with pytest.raises(SystemExit, match="expected: python"):
        results.main()
