"""`judge train`: what is held out, what is learned, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ganforge.api import Context, Samples, UserError
from ganforge.api.judge.judge import Judge, load_judge
from ganforge.config import RunConfig
from ganforge.evaluation.train_judge import JudgeTraining, learning_rate, split_data, train_judge
from support.command_line import EXAMPLE, call, contents, sets
from support.toys import Squares, toy_config


def context(folder: Path, lines: list[str] | None = None) -> Context:
    said = [] if lines is None else lines
    return Context(folder, said.append, lambda items, total, what: iter(items))


def toy_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, groups: Tensor | None, lines: list[str]
) -> Any:
    """How 60 squares are split that have these groups and no test split."""
    config = toy_config(data={"count": 60})
    whole = config.data.build("train", context(tmp_path))

    def build(self: Squares, split: str, context: Context) -> Samples:
        if split == "test":
            raise UserError("there is none")
        return Samples(whole.images, whole.labels, groups=groups)

    monkeypatch.setattr(Squares, "build", build)
    return whole, split_data(config, config.data.spec(), context(tmp_path, lines), seed=0)


def test_whole_groups_are_held_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    groups = torch.arange(60) // 3 * 7 + 100
    whole, split = toy_split(tmp_path, monkeypatch, groups, lines := [])
    assert (len(split.rows), len(split.test), split.how) == (54, 6, "2 of 20 groups, seed 0")
    kept = set(groups[split.rows].tolist())
    held = torch.tensor([group not in kept for group in groups.tolist()])
    assert held.sum() == 6
    assert torch.equal(split.test.images, whole.images[held])
    assert torch.equal(split.test.labels, whole.labels[held])
    assert lines == []
    with pytest.raises(UserError) as error:
        toy_split(tmp_path, monkeypatch, torch.zeros(60, dtype=torch.int64), [])
    assert str(error.value) == "a judge needs at least 2 groups of images; data 'squares' has 1"


@pytest.mark.slow
@pytest.mark.real_data
def test_no_scene_of_the_real_data_is_on_both_sides(real_data: Path, tmp_path: Path) -> None:
    config = toy_config(data={"type": "iclevr", "root": str(real_data / "iclevr"), "image_size": 16})
    split = split_data(config, config.data.spec(), context(tmp_path), seed=0)
    assert (len(split.samples), split.how) == (18_009, "601 of 6,003 groups, seed 0")
    names = list(json.loads((real_data / "iclevr" / "train.json").read_text()))
    scenes = [name.split("_")[2] for name in names]
    kept = {scenes[row] for row in split.rows.tolist()}
    assert len(kept) == 6003 - 601
    assert len(split.test) == sum(scene not in kept for scene in scenes) == 601 * 3


def test_drawn_scenes_are_the_groups(tmp_path: Path) -> None:
    config = toy_config(data={"type": "iclevr", "scenes": 4, "image_size": 16})
    samples = config.data.build("train", context(tmp_path))
    assert samples.groups is not None
    assert samples.groups.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]


def test_without_groups_the_test_split_or_single_images_are_held_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = toy_config()
    own = split_data(config, config.data.spec(), context(tmp_path), seed=0)
    assert (len(own.rows), len(own.test), own.how) == (48, 48, "its split 'test'")
    _, split = toy_split(tmp_path, monkeypatch, None, lines := [])
    assert (len(split.rows), len(split.test), split.how) == (54, 6, "6 of 60 images, seed 0")
    assert lines == ["data: no split 'test' (data set 'squares': there is none)"]


def small_training(tmp_path: Path, config: RunConfig, **settings: Any) -> Judge:
    return train_judge(config, JudgeTraining(**{"epochs": 1, "width": 4} | settings), context(tmp_path))


@pytest.mark.parametrize("labels", ["one_of_k", "many_of_k"])
def test_a_judge_learns_the_squares(tmp_path: Path, labels: str) -> None:
    config = toy_config(data={"count": 240, "labels": labels})
    judge = small_training(tmp_path, config, epochs=16)
    assert judge.card.accuracy["accuracy"] > 0.95
    assert set(judge.card.accuracy) == {
        "accuracy", "exact_match", "recall/red", "recall/green", "recall/blue",
    }  # fmt: skip
    told = judge.card.trained_on
    expected = {"type": "squares", "count": 240, "labels": labels, "size": 16, "mirror": False}
    assert told["data"] == {**expected, "pairs": True, "small": 0}
    assert (told["images"], told["test_images"], told["seed"]) == (240, 240, 0)
    assert told["images_seen"] == 16 * 192


def test_the_same_seed_trains_the_same_judge(tmp_path: Path) -> None:
    config = toy_config(data={"count": 64, "mirror": True})
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one, two = small_training(tmp_path, config), small_training(tmp_path, config)
    other = small_training(tmp_path, config, seed=1)
    assert one.card.sha256 == two.card.sha256 != other.card.sha256
    assert torch.equal(torch.get_rng_state(), before)


def test_a_judge_is_done_when_its_minutes_are_over(tmp_path: Path) -> None:
    judge = small_training(tmp_path, toy_config(), epochs=10**9, max_minutes=0.005)
    assert 0 < judge.card.trained_on["images_seen"] < 10**6


def test_the_learning_rate_goes_up_once_and_ends_at_0() -> None:
    rates = [learning_rate(step / 100) for step in range(101)]
    peak = rates.index(max(rates))
    assert (peak, rates[peak], rates[100]) == (20, pytest.approx(3e-3), pytest.approx(0))
    assert rates[60] == pytest.approx(1.5e-3)
    assert rates == sorted(rates[:21]) + sorted(rates[21:], reverse=True)


SMALL = ("data.scenes=20", "data.image_size=16", "train.device=cpu")


def test_judges_of_another_architecture_and_width(tmp_path: Path) -> None:
    options = ("--architecture", "plain", "--width", 3, "--epochs", 1)
    done = call(tmp_path, "judge", "train", EXAMPLE, *options, "--out", "j", *sets(*SMALL))
    assert done.code == 0, done.err
    judge = load_judge(tmp_path / "j")
    assert (judge.card.architecture, judge.card.width) == ("plain", 3)
    convs = [m for m in judge.network.body if isinstance(m, nn.Conv2d)]
    assert [(m.in_channels, m.out_channels, m.kernel_size[0], m.stride[0]) for m in convs] == [
        (3, 3, 4, 2), (3, 6, 4, 2), (6, 12, 4, 2), (12, 12, 3, 1)
    ]  # fmt: skip
    images = torch.rand(2, 3, 16, 16) * 2 - 1
    h = images
    for layer in judge.network.body[:11]:
        h = layer(h)
    assert h.shape == (2, 12, 2, 2)
    torch.testing.assert_close(judge.features(images), h.mean((2, 3)))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (
            {"labels": "none"},
            "a judge needs images with named labels; data 'squares' has labels of kind 'none'",
        ),
        (
            {"labels": "vector"},
            "a judge needs images with named labels; data 'squares' has labels of kind 'vector'",
        ),
        ({"count": 19}, "a judge needs at least 20 images; data 'squares' has 19"),
        (
            {"type": "toy2d"},
            "a judge needs images with named labels; data 'toy2d' has samples of shape (2,)",
        ),
    ],
)
def test_data_that_no_judge_can_learn_from(tmp_path: Path, data: dict[str, Any], expected: str) -> None:
    nets = {"nets": {"type": "mlp"}} if data.get("type") else {}
    with pytest.raises(UserError) as error:
        small_training(tmp_path, toy_config(data=data, **nets))
    assert str(error.value) == expected


def test_judge_train_from_the_command_line(tmp_path: Path) -> None:
    done = call(tmp_path, "judge", "train", EXAMPLE, "--epochs", 1, "--out", "j", *sets(*SMALL))
    assert done.code == 0
    assert "judge: training on 54 images, testing on 6 (2 of 20 groups, seed 0)\n" in done.err
    judge = load_judge(tmp_path / "j")
    lines = done.out.splitlines()
    assert lines[0].startswith("judge of 24 labels: small_resnet, ")
    assert lines[1] == "  on 6 held-out real images:"
    assert lines[2].startswith(f"  accuracy       {judge.card.accuracy['accuracy']:.4f} ")
    assert lines[3] == f"  exact match    {judge.card.accuracy['exact_match']:.4f}"
    assert lines[4].startswith("  lowest recall  ")
    assert lines[5:] == [f"  SHA-256        {judge.card.sha256}", "judge written to j"]
    assert judge.card.trained_on["data"]["scenes"] == 20
    before = contents(tmp_path)
    again = call(tmp_path, "judge", "train", EXAMPLE, "--out", "j", *sets(*SMALL))
    assert (again.code, again.out, again.err) == (
        2,
        "",
        "j already exists; choose another with --out\n",
    )
    assert contents(tmp_path) == before
