"""The table of the ablation: what differs between run folders, and what was measured."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from support.scripts import script

CONFIG = """
[data]
root = "/somewhere"
[nets]
type = "dcgan"
width = {width}
[[terms]]
type = "r1"
{more}
[train]
seed = 3
images = {width}
"""
GUIDE = '[[terms]]\ntype = "guide"\njudge = "/a/judge"\nweight = {start = 0.0, end = 0.5}'


@pytest.fixture(scope="module")
def ablation() -> ModuleType:
    return script("ablation")


def evaluation(images: int, accuracy: float) -> dict[str, Any]:
    judge = {"sha256": "0123456789abcdef", "accuracy": {"accuracy": 0.9623, "exact_match": 0.9}}
    values = {"drawn_accuracy": accuracy, "drawn_accuracy_std": 0.0125, "drawn_exact_match": 0.5}
    return {
        "images_seen": images,
        "metrics": [{"files": {"judge": judge}, "seeds": [0, 1], "values": values}],
    }


def write_run(folder: Path, width: int, *evaluations: dict[str, Any], more: str = "", **info: Any) -> Path:
    folder.mkdir(parents=True)
    known = {"gpu": None, "cpu": {"threads": 2, "used": 1}}
    (folder / "run.json").write_text(json.dumps(known | info))
    (folder / "config.toml").write_text(CONFIG.format(width=width, more=more))
    rows = [{"images_seen": images, "seconds": images * 0.6} for images in (100, 200, 300)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "evaluations.jsonl").write_text("".join(json.dumps(each) + "\n" for each in evaluations))
    return folder


def test_a_row_for_each_evaluated_checkpoint(ablation: ModuleType, tmp_path: Path) -> None:
    first = write_run(
        tmp_path / "base", 32, evaluation(200, 0.1), evaluation(100, 0.3), evaluation(200, 0.25)
    )
    second = write_run(tmp_path / "other", 16, evaluation(300, 0.5), more=GUIDE, gpu="NVIDIA H100")
    changed = '`nets.width 16`, `terms.1.type "guide"`, `terms.1.weight.end 0.5`, `terms.1.weight.start 0.0`'
    judge = "01234567, 96.2%"
    assert ablation.table([str(first), str(second)]).splitlines() == [
        *ablation.HEAD,
        f"| base | - | drawn 30.0% ± 1.2% (2 seeds) | {judge} | 100 | 1 min | 1 of 2 CPU threads | 3 |",
        f"| base | - | drawn 25.0% ± 1.2% (2 seeds) | {judge} | 200 | 2 min | 1 of 2 CPU threads | 3 |",
        f"| other | {changed} | drawn 50.0% ± 1.2% (2 seeds) | {judge} | 300 | 3 min | NVIDIA H100 | 3 |",
    ]


def test_a_run_is_compared_with_the_one_that_is_named(ablation: ModuleType, tmp_path: Path) -> None:
    guided = write_run(tmp_path / "guided", 32, evaluation(100, 0.5), more=GUIDE)
    wide = write_run(tmp_path / "wide", 64, evaluation(100, 0.5), more=GUIDE)
    write_run(tmp_path / "base", 32)
    runs = [str(tmp_path / "base"), str(guided), f"{wide}={guided}", f"{guided}={guided}"]
    settings = [line.split(" | ")[1] for line in ablation.table(runs).splitlines()[2:]]
    guide = '`terms.1.type "guide"`, `terms.1.weight.end 0.5`, `terms.1.weight.start 0.0`'
    assert settings == [guide, "guided, and `nets.width 64`", "guided, and -"]


def test_what_the_first_run_has_and_another_lacks(ablation: ModuleType, tmp_path: Path) -> None:
    first = write_run(tmp_path / "a", 32, more='[[terms]]\ntype = "l1"')
    assert ablation.changes(write_run(tmp_path / "b", 32), first) == "`terms.1.type absent`"


def test_paths_and_trackers_are_no_settings(ablation: ModuleType, tmp_path: Path) -> None:
    first = write_run(tmp_path / "a", 32, more='judge = "/a/judge"')
    second = write_run(tmp_path / "b", 32, more='[[trackers]]\ntype = "tensorboard"')
    assert ablation.changes(second, first) == ablation.changes(first, second) == "-"


def test_without_runs_the_table_stays(
    ablation: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "README.md"
    page.write_text(f"{ablation.BEGIN}\nold\n{ablation.END}\n")
    monkeypatch.setattr(ablation, "HERE", tmp_path)
    monkeypatch.setattr("sys.argv", ["ablation.py"])
    with pytest.raises(SystemExit, match="expected run folders: python"):
        ablation.main()
    assert page.read_text() == f"{ablation.BEGIN}\nold\n{ablation.END}\n"


def test_the_table_replaces_the_one_before(
    ablation: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = write_run(tmp_path / "run", 8, evaluation(100, 1.0))
    page = tmp_path / "README.md"
    page.write_text(f"above\n{ablation.BEGIN}\nold\n{ablation.END}\nbelow\n")
    monkeypatch.setattr(ablation, "HERE", tmp_path)
    monkeypatch.setattr("sys.argv", ["ablation.py", str(run)])
    ablation.main()
    assert (
        page.read_text() == f"above\n{ablation.BEGIN}\n{ablation.table([str(run)])}\n{ablation.END}\nbelow\n"
    )
