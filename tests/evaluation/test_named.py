"""Several conditions by name, as the command line, JSON files and Python give them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from ganforge.api import LabelSpec, UserError
from ganforge.evaluation.named import filled, named_rows, parsed, read_named
from ganforge.evaluation.sample import conditions_in, in_words
from ganforge.evaluation.sheets import each_in_short

LABELS = LabelSpec(
    kind="named",
    parts={
        "label": LabelSpec(kind="one_of_k", names=("zero", "one; half", "two")),
        "angle": LabelSpec(kind="vector", names=("x", "y")),
        "image": LabelSpec(kind="image", size=(1, 2, 2)),
    },
)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "edges"
    folder.mkdir()
    for name, value in (("a", 0), ("b", 255)):
        Image.new("L", (2, 2), value).save(folder / f"{name}.png")
    return folder


def test_a_text_names_each(pictures: Path) -> None:
    found = named_rows(LABELS, f"label = two; angle=0.5, -1;image={pictures / 'b.png'}")
    assert found["label"].tolist() == [[0.0, 0.0, 1.0]]
    assert found["angle"].tolist() == [[0.5, -1.0]]
    assert torch.equal(found["image"], torch.ones(1, 1, 2, 2))


def test_a_semicolon_in_quotes_belongs_to_the_name() -> None:
    assert parsed(LABELS, 'label="one; half"; angle=1, 2') == {"label": '"one; half"', "angle": "1, 2"}
    assert named_rows(LABELS, 'label="one; half"')["label"].tolist() == [[0.0, 1.0, 0.0]]


def test_a_folder_stands_for_all_of_its_images(pictures: Path) -> None:
    found = named_rows(LABELS, {"image": str(pictures), "label": "zero"})
    assert found["image"][:, 0, 0, 0].tolist() == [-1.0, 1.0]
    assert found["label"].tolist() == [[1.0, 0.0, 0.0]] * 2


def test_a_file_lists_objects_with_images_beside_it(pictures: Path) -> None:
    file = pictures / "list.json"
    wishes = [{"label": ["two"], "image": "a.png"}, {"image": "b.png", "label": "zero"}]
    file.write_text(json.dumps(wishes))
    for found in (read_named(LABELS, file), conditions_in(LABELS, file)):
        assert found["label"].argmax(1).tolist() == [2, 0]
        assert found["image"][:, 0, 0, 0].tolist() == [-1.0, 1.0]


def test_tensors_are_taken_as_they_are() -> None:
    rows = torch.rand(3, 2)
    found = named_rows(LABELS, {"angle": rows, "image": torch.zeros(1, 2, 2)})
    assert torch.equal(found["angle"], rows) and found["image"].shape == (3, 1, 2, 2)


def test_labels_that_are_not_given_vary_and_others_are_asked_for() -> None:
    given = {"angle": torch.zeros(6, 2), "image": torch.zeros(6, 1, 2, 2)}
    found = filled(LABELS, given, 6, 0)
    assert list(found) == ["label", "angle", "image"]
    assert sorted(found["label"].argmax(1).tolist()) == [0, 0, 1, 1, 2, 2]
    with pytest.raises(UserError) as caught:
        filled(LABELS, {"angle": given["angle"]}, 6, 0)
    assert str(caught.value) == (
        "condition 'image' is images of 1x2x2; pass it with "
        '--condition "label=zero; angle=0.5, ...; image=FILE.png"'
    )


def test_words_for_files_and_grids() -> None:
    cond = {
        "label": torch.eye(3)[[2]],
        "angle": torch.tensor([[0.5, -1.0]]),
        "image": torch.zeros(1, 1, 2, 2),
    }
    one = {name: each[0] for name, each in cond.items()}
    assert in_words(LABELS, one) == {"label": ["two"], "angle": [0.5, -1.0], "image": None}
    assert each_in_short(LABELS, cond) == ["label = two; angle = 0.5, -1; image = condition 1"]


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ("two", "expected NAME=VALUE, got 'two'; the conditions are label, angle, image"),
        ("label=two; label=zero", "condition 'label' is given twice"),
        ("lable=two", "unknown condition 'lable'; did you mean 'label'? (conditions: label, angle, image)"),
        ("label=three", "condition 'label': unknown label 'three'"),
        ("angle=1", "condition 'angle': expected 2 finite numbers (x, y), got '1'"),
        ("image=none.png", "condition 'image': none.png: cannot be read: No such file or directory"),
        ({}, "expected conditions by name (label, angle, image), got {}; for example label=zero; angle="),
        ({"label": 3}, "condition 'label': expected names of labels, got 3"),
        (["two"], "expected conditions by name (label, angle, image), got 'two'"),
        (
            [{"label": "two"}, {"angle": [1, 2]}],
            "condition 1 (counted from 0): expected label as in the first one, got angle",
        ),
        (
            {"angle": torch.zeros(3, 2), "image": torch.zeros(2, 1, 2, 2)},
            "expected 1 or 3 of condition 'image', got 2",
        ),
        ({"angle": torch.zeros(3)}, "condition 'angle': condition: expected a tensor [m, 2], got [3]"),
    ],
)
def test_what_cannot_be(wish: Any, message: str) -> None:
    with pytest.raises(UserError) as caught:
        named_rows(LABELS, wish)
    assert message in str(caught.value)
