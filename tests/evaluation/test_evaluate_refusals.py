"""Every metric that reads a judge or real images refuses what it cannot use, by name, and writes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from ganforge.api import DataSpec
from ganforge_datasets.iclevr import ICLEVR
from support.command_line import call, complaint, contents
from support.evaluated import finished as finished
from support.evaluated import place as place
from support.evil_pickle import Evil
from support.judges import blank_judge

IN_FEATURES = {"fjd": {}, "prdc": {"k": 1}, "mmd": {"subset": 2}}
"""The metrics that compare features, with what lets them do with the data's 12 images."""
JUDGED = [*IN_FEATURES, "condition_accuracy", "code_accuracy", "mutual_information"]
ADVICE = "train a judge on such data with 'ganforge judge train'"


def refusal(place: Path, metric: str, **fields: Any) -> str:
    """What `evaluate` says of the metric; nothing may have been written."""
    values = "".join(f"{key} = {json.dumps(value)}\n" for key, value in fields.items())
    (place / "f.toml").write_text(f'[[metrics]]\ntype = "{metric}"\n{values}')
    before = contents(place)
    done = call(place, "evaluate", "mine", "--metrics", "f.toml")
    assert (done.code, done.out) == (2, "")
    assert contents(place) == before
    return complaint(done)


@pytest.mark.parametrize("metric", JUDGED)
def test_a_judge_that_is_damaged(place: Path, metric: str) -> None:
    file = place / "judge" / "weights.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    assert refusal(place, metric, judge="judge").endswith(
        f"{file}: damaged: its SHA-256 does not match judge.json\n"
    )


@pytest.mark.parametrize("metric", JUDGED)
def test_a_judge_that_wants_to_execute(place: Path, metric: str) -> None:
    trace = place / "trace"
    torch.save({"model": Evil(f"touch {trace}")}, place / "evil.pth")
    expected = "a checkpoint does not name its labels; import it first"
    if metric == "condition_accuracy":
        expected = "refused: its pickle would execute 'posix.system'"
    assert expected in refusal(place, metric, judge="evil.pth")
    assert not trace.exists()


@pytest.mark.parametrize("metric", IN_FEATURES)
def test_a_judge_of_other_images(place: Path, metric: str) -> None:
    blank_judge(ICLEVR(image_size=32).spec()).save(place / "large")
    assert refusal(place, metric, judge="large", real=12, **IN_FEATURES[metric]).endswith(
        f"the judge takes images of 3x32x32, got 3x16x16; {ADVICE}\n"
    )


def test_a_judge_of_other_labels(place: Path) -> None:
    spec = ICLEVR(image_size=16).spec()
    labels = spec.labels.model_copy(update={"names": spec.labels.names[:-1]})
    blank_judge(DataSpec(shape=spec.shape, labels=labels)).save(place / "other")
    assert refusal(place, "condition_accuracy", judge="other").endswith(
        "the judge recognizes many of 23 labels (gray cube, red cube, blue cube, ...), but the data have many of "
        f"24 labels (gray cube, red cube, blue cube, ...); {ADVICE}\n"
    )


@pytest.mark.parametrize("metric", IN_FEATURES)
def test_fewer_real_images_than_asked(place: Path, metric: str) -> None:
    fields = {"real": 17, "samples": 17, **IN_FEATURES[metric]}
    assert refusal(place, metric, judge="judge", **fields) == (
        f"metric '{metric}' needs 17 real samples, but the data has 12; set real = 12 or less\n"
    )


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ([["red cube"], ["pink cube"]], "condition 1 (counted from 0): unknown label 'pink cube'"),
        (
            [["red cube", "blue cube", "cyan cube", "gray cube"]],
            "condition 0 (counted from 0): expected 1 to 3 labels per condition, got 4",
        ),
    ],
)
def test_conditions_that_the_data_cannot_have(
    place: Path, conditions: list[list[str]], expected: str
) -> None:
    (place / "bad.json").write_text(json.dumps(conditions))
    found = refusal(place, "condition_accuracy", judge="judge", conditions="bad.json")
    assert f"{place / 'bad.json'}: {expected}" in found
