"""The metric `condition_accuracy`, with judges made by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import ganforge_metrics.condition_accuracy as module
from ganforge.api import DataSpec, Draw, LabelSpec, Samples, UserError
from ganforge.api.judge.judge import Judge
from ganforge_metrics.condition_accuracy import ConditionAccuracy
from support.judges import NAMES, blank_judge, channel_judge

SPEC = DataSpec(shape=(3, 16, 16), labels=LabelSpec(kind="many_of_k", names=NAMES, most=2))
NO_DATA = Samples(torch.zeros(0, 3, 16, 16, dtype=torch.uint8), torch.zeros(0, 3))


class Fakes:
    """A generator that shows `show(cond, seed)` [N, 3], one channel for each label."""

    def __init__(self, show: Any = lambda cond, seed: cond, spec: DataSpec = SPEC) -> None:
        self.spec = spec
        self.show = show
        self.asked: list[tuple[int, int, list[list[float]]]] = []

    def sample(self, n: int, seed: int, cond: Tensor | None = None) -> Tensor:
        assert cond is not None
        self.asked.append((n, seed, cond.tolist()))
        return (self.show(cond, seed) * 2 - 1)[:, :, None, None].expand(-1, -1, 16, 16)

    def draw(self, n: int, seed: int, cond: Tensor | None = None) -> tuple[Tensor, Draw]:
        raise AssertionError("the metric needs no draws")


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every judge finds label k where channel k is bright: an oracle for `Fakes`."""

    def load(path: Path, spec: DataSpec) -> Judge:
        return channel_judge(spec)

    monkeypatch.setattr(module, "load_judge", load)


def metric(tmp_path: Path, conditions: Any = None, **fields: Any) -> ConditionAccuracy:
    file = None
    if conditions is not None:
        file = tmp_path / "conditions.json"
        file.write_text(conditions if isinstance(conditions, str) else json.dumps(conditions))
    return ConditionAccuracy(judge=tmp_path / "judge", conditions=file, **fields)


LIST = [["red"], ["red", "blue"], ["green"], ["blue", "green"]]


@pytest.mark.usefixtures("by_hand")
def test_an_oracle_finds_everything_that_a_true_generator_shows(tmp_path: Path) -> None:
    fakes = Fakes()
    assert metric(tmp_path, LIST, n=2, repeats=3, seed=5).compute(fakes, NO_DATA) == {
        "condition_accuracy": 1.0,
        "condition_accuracy_std": 0.0,
        "condition_exact_match": 1.0,
        "condition_exact_match_std": 0.0,
        "condition_recall/red": 1.0,
        "condition_recall/green": 1.0,
        "condition_recall/blue": 1.0,
    }
    rows = [[1, 0, 0], [1, 0, 1], [0, 1, 0], [0, 1, 1]]
    asked = [row for row in rows for _ in range(2)]
    assert fakes.asked == [(8, seed, asked) for seed in (5, 6, 7)]


@pytest.mark.usefixtures("by_hand")
def test_hits_are_counted_over_the_list_and_spread_over_the_seeds(tmp_path: Path) -> None:
    # Seed 0 shows what is asked for; seed 1 always red, and green more than blue.
    lies = torch.tensor([1.0, 0.6, 0.2])
    fakes = Fakes(lambda cond, seed: cond if seed == 0 else lies.expand_as(cond))
    found = metric(tmp_path, LIST, repeats=2).compute(fakes, NO_DATA)
    # Of the 6 wanted with seed 1: red, red (not blue), not green, green (not blue): 3.
    assert found["condition_accuracy"] == pytest.approx((1 + 3 / 6) / 2)
    assert found["condition_accuracy_std"] == pytest.approx(0.5 / 2**0.5)
    assert found["condition_exact_match"] == pytest.approx((1 + 1 / 4) / 2)
    assert found["condition_recall/red"] == 1.0
    assert found["condition_recall/green"] == pytest.approx((1 + 1 / 2) / 2)
    assert found["condition_recall/blue"] == pytest.approx(1 / 2)


@pytest.mark.usefixtures("by_hand")
def test_one_repeat_has_no_deviation_and_a_name_leads_the_numbers(tmp_path: Path) -> None:
    found = metric(tmp_path, [["red"]], repeats=1, name="new").compute(Fakes(), NO_DATA)
    assert found == {"new_accuracy": 1.0, "new_exact_match": 1.0, "new_recall/red": 1.0}


@pytest.mark.usefixtures("by_hand")
def test_without_a_list_conditions_come_from_the_training_labels(tmp_path: Path) -> None:
    labels = torch.tensor([[0, 0, 0], [1, 0, 1], [0, 1, 0]], dtype=torch.uint8)
    data, fakes = Samples(torch.zeros(3, 3, 16, 16, dtype=torch.uint8), labels), Fakes()
    found = metric(tmp_path, drawn=40, repeats=2).compute(fakes, data)
    assert found["condition_accuracy"] == 1.0
    (n, _, first), (_, _, second) = fakes.asked
    assert n == 40 and first == second
    assert {tuple(row) for row in first} == {(1, 0, 1), (0, 1, 0)}
    again = Fakes()
    metric(tmp_path, drawn=40, repeats=1).compute(again, data)
    assert again.asked[0][2] == first


@pytest.mark.usefixtures("by_hand")
def test_a_generator_that_has_diverged_shows_nothing(tmp_path: Path) -> None:
    fakes = Fakes(lambda cond, seed: torch.full_like(cond, torch.nan))
    assert metric(tmp_path, LIST).compute(fakes, NO_DATA)["condition_accuracy"] == 0.0


def refusal(metric: ConditionAccuracy, spec: DataSpec = SPEC) -> str:
    with pytest.raises(UserError) as error:
        metric.compute(Fakes(spec=spec), NO_DATA)
    return str(error.value)


@pytest.mark.usefixtures("by_hand")
@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ([["red"], ["gren"]], "condition 1 (counted from 0): unknown label 'gren'; nearest: green (labels: red, green, blue)"),
        (
            [["red", "green", "blue"]],
            "condition 0 (counted from 0): expected 0 to 2 labels per condition, got 3: red, green, blue",
        ),
        ([["red", "red"]], "condition 0 (counted from 0): label 'red' is listed twice in one condition"),
        ([["red"], 3], "expected condition 1 (counted from 0) to be a list of names, got 3"),
        ([], 'expected a list of conditions, such as [["red cube"], ["gray sphere"]]'),
    ],
)  # fmt: skip
def test_lists_that_the_data_cannot_have(tmp_path: Path, conditions: Any, expected: str) -> None:
    assert refusal(metric(tmp_path, conditions)) == f"{tmp_path / 'conditions.json'}: {expected}"


@pytest.mark.usefixtures("by_hand")
def test_a_condition_may_be_one_string_as_on_the_command_line(tmp_path: Path) -> None:
    fakes = Fakes()
    metric(tmp_path, ["red, blue", ["green"]], repeats=1).compute(fakes, NO_DATA)
    assert fakes.asked[0][2] == [[1, 0, 1], [0, 1, 0]]


@pytest.mark.usefixtures("by_hand")
def test_a_list_is_bounded_and_an_error_names_its_line(tmp_path: Path) -> None:
    file = tmp_path / "conditions.json"
    found = metric(tmp_path, LIST)
    file.write_text('[["red"],\n')
    assert refusal(found) == f"{file}:2: not JSON: Expecting value"
    file.write_bytes(b" " * (2**24 + 1))
    assert refusal(found) == f"{file}: expected a list of conditions of at most 16,777,216 bytes"


@pytest.mark.usefixtures("by_hand")
def test_a_missing_list_and_too_many_samples(tmp_path: Path) -> None:
    lost = ConditionAccuracy(judge=tmp_path, conditions=tmp_path / "none.json")
    assert refusal(lost) == f"{tmp_path / 'none.json'}: cannot be read: No such file or directory"
    assert refusal(metric(tmp_path, LIST, n=25_001)) == (
        "metric 'condition_accuracy' needs 100,004 samples at once, at most 100,000; lower n"
    )


def test_a_judge_that_does_not_fit(tmp_path: Path) -> None:
    asked = metric(tmp_path, LIST)
    assert refusal(asked) == (
        f"{tmp_path / 'judge'} is not a judge: it has no judge.json; pass the folder that 'ganforge judge train' wrote"
    )
    blank_judge(SPEC.model_copy(update={"shape": (3, 32, 32)})).save(tmp_path / "judge")
    assert refusal(asked).startswith("the judge takes images of 3x32x32, got 3x16x16; ")
    names = LabelSpec(kind="many_of_k", names=("a", "b", "c"))
    blank_judge(DataSpec(shape=SPEC.shape, labels=names)).save(tmp_path / "judge")
    assert refusal(asked).startswith(
        "the judge recognizes many of 3 labels (a, b, c), but the data have many of 3 labels (red, green, blue); "
    )
    assert refusal(asked, DataSpec(shape=SPEC.shape)) == (
        "metric 'condition_accuracy' needs data whose conditions are named labels, got labels of kind 'none'"
    )


def test_paths_are_kept_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = ConditionAccuracy.model_validate_json('{"judge": "j", "conditions": "~/c.json"}')
    assert (found.judge, found.conditions) == (tmp_path / "j", Path.home() / "c.json")
