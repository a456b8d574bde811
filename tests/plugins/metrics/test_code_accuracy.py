"""The metric `code_accuracy`, with judges and codes made by hand."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch

from ganforge.api import UserError
from ganforge_metrics.code_accuracy import CodeAccuracy, matching
from support.coded import NO_DATA, Coded, spec
from support.coded import by_hand as by_hand
from support.judges import blank_judge


def test_each_code_is_matched_with_its_most_frequent_class() -> None:
    codes = torch.tensor([0, 0, 0, 1, 1, 1, 1])
    shown = torch.tensor([2, 2, 0, 1, 1, 1, 2])
    logits = torch.nn.functional.one_hot(shown, 3).float()
    assert matching(codes, logits) == {"code_accuracy": pytest.approx(5 / 7), "code_classes": 2}


def test_the_match_is_that_of_counting() -> None:
    rng = torch.Generator().manual_seed(0)
    codes, logits = torch.randint(10, (500,), generator=rng), torch.randn(500, 10, generator=rng)
    shown = [max(range(10), key=row.__getitem__) for row in logits.tolist()]
    best = {
        code: Counter(s for s, c in zip(shown, codes.tolist(), strict=True) if c == code).most_common(1)[0]
        for code in range(10)
    }
    found = matching(codes, logits)
    assert found["code_accuracy"] == pytest.approx(sum(count for _, count in best.values()) / 500)


def test_images_that_are_not_finite_match_nothing() -> None:
    logits = torch.tensor([[1.0, 0.0], [torch.nan, 1.0]])
    assert matching(torch.tensor([0, 0]), logits) == {"code_accuracy": 0.5, "code_classes": 1}
    assert matching(torch.tensor([0, 0]), logits * torch.nan) == {"code_accuracy": 0.0, "code_classes": 0}


@pytest.mark.usefixtures("by_hand")
@pytest.mark.parametrize(("classes", "different"), [([2, 0, 1], 3), ([1, 1, 0], 2), ([1, 1, 1], 1)])
def test_codes_that_mean_one_class_each_reach_1(tmp_path: Path, classes: list[int], different: int) -> None:
    fakes = Coded(classes)
    found = CodeAccuracy(judge=tmp_path, samples=60).compute(fakes, NO_DATA)
    assert found == {"code_accuracy": 1.0, "code_classes": different}
    assert fakes.asked == [1, 60]


@pytest.mark.usefixtures("by_hand")
@pytest.mark.parametrize("code", ["c2", "c9"])
def test_a_code_that_is_not_there(tmp_path: Path, code: str) -> None:
    fakes = Coded([0, 1, 2])
    with pytest.raises(UserError) as error:
        CodeAccuracy(judge=tmp_path, code=code).compute(fakes, NO_DATA)
    assert str(error.value) == f"metric 'code_accuracy': no categorical code '{code}' (available: c1)"
    assert fakes.asked == [1]


def test_a_judge_that_does_not_fit(tmp_path: Path) -> None:
    def refusal() -> str:
        with pytest.raises(UserError) as error:
            CodeAccuracy(judge=tmp_path / "j").compute(Coded([0, 1, 2]), NO_DATA)
        return str(error.value)

    assert refusal().startswith(f"{tmp_path / 'j'} is not a judge: it has no judge.json; ")
    blank_judge(spec("many_of_k")).save(tmp_path / "j")
    assert (
        refusal() == "metric 'code_accuracy' needs a one-of-K judge, got one with labels of kind 'many_of_k'"
    )
    blank_judge(spec(side=32)).save(tmp_path / "j")
    assert refusal().startswith("the judge takes images of 3x32x32, got 3x16x16; ")
