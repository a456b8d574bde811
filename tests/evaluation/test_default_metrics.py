"""`evaluate` on a run that names no metrics: the judge on the way, its ceiling, and what is kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ganforge_datasets.iclevr import ICLEVR
from support.command_line import EXAMPLE, TINY, call, refused, sets
from support.evaluated import records


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run that names no metrics."""
    folder = tmp_path_factory.mktemp("default")
    # Twenty images are the least that a judge is trained on.
    assert call(folder, "run", EXAMPLE, "--out", "mine", *sets(*TINY, "data.scenes=8")).code == 0
    return folder


@pytest.fixture
def lists(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The data has two lists of conditions."""
    found = {"test": place / "a.json", "new_test": place / "b.json"}
    found["test"].write_text('[["red cube"], ["gray sphere", "blue cube"]]')
    found["new_test"].write_text('[["cyan cylinder"]]')
    monkeypatch.setattr(ICLEVR, "condition_lists", lambda self: found)


@pytest.mark.usefixtures("lists")
def test_a_judge_is_trained_once_and_scores_each_list(place: Path) -> None:
    done = call(place, "evaluate", "mine", "--judge-minutes", 0.02)
    assert done.code == 0
    told = [line for line in done.err.splitlines() if line.startswith("judge: ")]
    assert told[0].startswith("judge: none of this data yet; training one, at most 0.02 minutes (kept in ")
    assert told[-2].startswith("judge: 0.") and told[-2].endswith("labels found in held-out real images")
    assert told[-1].startswith("judge: weak, so every accuracy will be too low")
    (record,) = records(place)
    assert [metric["settings"]["name"] for metric in record["metrics"]] == ["test", "new_test"]
    assert [len(metric["seeds"]) for metric in record["metrics"]] == [10, 10]
    card = record["metrics"][0]["files"]["judge"]["accuracy"]
    lines = {line.split()[0]: line for line in done.out.splitlines() if line.startswith("  ")}
    for name in ("test_accuracy", "new_test_accuracy"):
        assert lines[name].endswith(f"(judge on real images: {card['accuracy']:.4f})")
    assert lines["test_exact_match"].endswith(f"(judge on real images: {card['exact_match']:.4f})")
    assert (place / "mine" / "plots" / "new_test_recall.png").is_file()

    again = call(place, "evaluate", "mine", "--judge-minutes", 0.02, "--json")
    assert "trained before on the same data" in again.err and "training one" not in again.err
    kept = json.loads(again.out)
    assert [each["values"] for each in kept["metrics"]] == [each["values"] for each in record["metrics"]]


def test_no_judge_is_trained_against_the_users_will(place: Path) -> None:
    (line, *_) = refused(place, "evaluate", "mine", "--no-train-judge")
    assert line == "mine/config.toml has no [[metrics]]; pass some with --metrics FILE.toml, such as"


@pytest.mark.usefixtures("lists")
def test_values_are_shown_although_they_cannot_be_recorded(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = place / "mine" / "evaluations.jsonl"
    file.unlink(missing_ok=True)
    file.mkdir()
    done = call(place, "evaluate", "mine", "--judge-minutes", 0.02)
    file.rmdir()
    assert done.code == 2 and "  test_accuracy" in done.out and "recorded in" not in done.out
    assert done.err.splitlines()[-1] == (
        "mine/evaluations.jsonl: Is a directory; the values above could not be recorded"
    )


def test_data_without_labels_have_a_distance(tmp_path: Path) -> None:
    tables: list[Any] = ["train.images=32", "train.batch_size=32", "train.device=cpu", "data.count=200"]
    toy = EXAMPLE.parents[1] / "toy" / "gan_ring8.toml"
    quiet = ["logging.grid_every=0", "wandb.mode=disabled", "metrics=[]"]
    assert call(tmp_path, "run", toy, "--out", "mine", *sets(*tables, *quiet)).code == 0
    done = call(tmp_path, "evaluate", "mine")
    assert done.code == 0 and "  sliced_wasserstein" in done.out
    (record,) = records(tmp_path)
    assert record["metrics"][0]["settings"]["samples"] == 200
