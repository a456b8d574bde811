"""Judges: the score, and the file."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from ganforge.api import DataSpec, LabelSpec, UserError
from ganforge.api.judge.judge import load_judge
from ganforge.api.judge.score import hits, score
from support.judges import SPEC, blank_judge, noise


def test_the_k_highest_outputs_are_compared_with_the_k_wanted_labels() -> None:
    logits = torch.tensor([[3.0, 1.0, 2.0, 0.0], [-5.0, -1.0, -2.0, -3.0], [9.0, 8.0, 7.0, 6.0]])
    wanted = torch.tensor([[1.0, 1.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]])
    assert hits(logits, wanted).tolist() == [
        [True, False, False, False],
        [False, True, False, False],
        [False] * 4,
    ]
    result = score(logits, wanted, ("a", "b", "c", "d"))
    assert result.accuracy == pytest.approx(2 / 5)
    assert result.exact_match == pytest.approx(1 / 3)
    assert result.recall == {"a": 1.0, "b": 0.5, "c": 0.0, "d": 0.0}


def test_the_score_is_that_of_sorted_lists() -> None:
    rng = torch.Generator().manual_seed(3)
    logits = torch.randn(200, 7, generator=rng)
    wanted = (torch.rand(200, 7, generator=rng) < 0.4).float()
    wanted[:, 2] = 0
    wanted[wanted.sum(1) == 0, 0] = 1
    found = asked = exact = 0
    by_label = {k: [0, 0] for k in range(7)}
    for row, want in zip(logits.tolist(), wanted.tolist(), strict=True):
        targets = {k for k, on in enumerate(want) if on}
        guessed = set(sorted(range(7), key=lambda k: -row[k])[: len(targets)])
        found, asked, exact = (
            found + len(targets & guessed),
            asked + len(targets),
            exact + (targets == guessed),
        )
        for k in targets:
            by_label[k] = [by_label[k][0] + (k in guessed), by_label[k][1] + 1]
    result = score(logits, wanted, tuple("abcdefg"))
    assert result.accuracy == pytest.approx(found / asked)
    assert result.exact_match == pytest.approx(exact / 200)
    assert result.recall == pytest.approx({"abcdefg"[k]: n / m for k, (n, m) in by_label.items() if m})
    assert "c" not in result.recall


def test_outputs_that_are_not_finite_are_no_hits() -> None:
    wanted = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert score(torch.full((2, 2), torch.nan), wanted, ("a", "b")).accuracy == 0.0


def test_logits_are_the_head_on_the_features_whatever_the_batch() -> None:
    judge, images = blank_judge(), noise(300, 3, 16, 16)
    features, logits = judge.features(images), judge.logits(images)
    assert features.shape == (300, 16) and logits.shape == (300, 3)
    torch.testing.assert_close(logits, judge.network.head(features))
    torch.testing.assert_close(judge.logits(images[270:]), logits[270:])
    assert not logits.requires_grad


def test_a_judge_comes_back_from_its_folder(tmp_path: Path) -> None:
    judge = blank_judge(trained_on={"images": 7}, accuracy={"accuracy": 0.5, "recall/red": 0.25})
    judge.save(tmp_path / "new" / "judge")
    assert sorted(file.name for file in (tmp_path / "new" / "judge").iterdir()) == [
        "judge.json",
        "weights.safetensors",
    ]
    weights = (tmp_path / "new" / "judge" / "weights.safetensors").read_bytes()
    images = noise(4, 3, 16, 16)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    for path in ("", "judge.json", "weights.safetensors"):
        again = load_judge(tmp_path / "new" / "judge" / path, SPEC)
        assert torch.equal(again.logits(images), judge.logits(images))
        assert again.card == judge.card
    assert torch.equal(torch.get_rng_state(), before)
    assert again.provenance() == {
        "architecture": "small_resnet",
        "sha256": hashlib.sha256(weights).hexdigest(),
        "trained_on": {"images": 7},
        "accuracy": {"accuracy": 0.5},
    }


def test_a_judge_of_other_images_or_labels_is_refused(tmp_path: Path) -> None:
    judge = blank_judge()
    judge.save(tmp_path)
    advice = "train a judge on such data with 'ganforge judge train'"
    size = f"the judge takes images of 3x16x16, got 3x32x32; {advice}"
    with pytest.raises(UserError) as error:
        judge.logits(noise(1, 3, 32, 32))
    assert str(error.value) == size
    with pytest.raises(UserError) as error:
        load_judge(tmp_path, SPEC.model_copy(update={"shape": (3, 32, 32)}))
    assert str(error.value) == size
    other = LabelSpec(kind="many_of_k", names=("red", "green", "blue", "grey"))
    with pytest.raises(UserError) as error:
        load_judge(tmp_path, DataSpec(shape=(3, 16, 16), labels=other))
    assert str(error.value) == (
        "the judge recognizes many of 3 labels (red, green, blue), but the data have many of 4 labels "
        f"(red, green, blue, ...); {advice}"
    )
    with pytest.raises(UserError) as error:
        load_judge(tmp_path, DataSpec(shape=(3, 16, 16)))
    assert str(error.value).endswith(f"but the data have no labels; {advice}")


def spoil_card(folder: Path, **changes: Any) -> None:
    card = json.loads((folder / "judge.json").read_text())
    (folder / "judge.json").write_text(json.dumps(card | changes))


def test_damaged_judges_are_refused_by_name(tmp_path: Path) -> None:
    def refusal(make: Any) -> str:
        folder = tmp_path / make.__name__
        blank_judge().save(folder)
        make(folder)
        with pytest.raises(UserError) as error:
            load_judge(folder)
        return str(error.value).replace(str(folder), "J")

    def no_card(folder: Path) -> None:
        (folder / "judge.json").unlink()

    def no_weights(folder: Path) -> None:
        (folder / "weights.safetensors").unlink()

    def no_json(folder: Path) -> None:
        (folder / "judge.json").write_text("{")

    def unknown_key(folder: Path) -> None:
        spoil_card(folder, smell="sweet")

    def no_width(folder: Path) -> None:
        spoil_card(folder, width=0)

    def huge(folder: Path) -> None:
        spoil_card(folder, width=10**9)

    def cut(folder: Path) -> None:
        file = folder / "weights.safetensors"
        file.write_bytes(file.read_bytes()[:-1])

    def noise_with_hash(folder: Path) -> None:
        (folder / "weights.safetensors").write_bytes(b"nonsense")
        spoil_card(folder, sha256=hashlib.sha256(b"nonsense").hexdigest())

    def another_width(folder: Path) -> None:
        spoil_card(folder, width=3)

    assert (
        refusal(no_card)
        == "J is not a judge: it has no judge.json; pass the folder that 'ganforge judge train' wrote"
    )
    assert refusal(no_weights) == "J/weights.safetensors: cannot be read: No such file or directory"
    assert refusal(no_json).startswith("J/judge.json: not a judge card: Invalid JSON: EOF")
    assert refusal(unknown_key) == "J/judge.json: not a judge card: smell: Extra inputs are not permitted"
    assert refusal(no_width) == "J/weights.safetensors: the card of a small_resnet must have a width"
    assert refusal(huge) == (
        "J/judge.json: not a judge card: width: Input should be less than or equal to 1024"
    )
    assert refusal(cut) == "J/weights.safetensors: damaged: its SHA-256 does not match judge.json"
    assert refusal(noise_with_hash).startswith("J/weights.safetensors: not a safetensors file: ")
    assert refusal(another_width).startswith(
        "J/weights.safetensors: its weights are not those of a small_resnet with 3 outputs: Error(s) in loading "
        "state_dict for JudgeNetwork: size mismatch for body.0.weight"
    )
