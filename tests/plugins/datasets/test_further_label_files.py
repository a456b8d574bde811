"""More label files as people write them: what is read, and what is refused with which words."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from ganforge.api import UserError
from support.pictures import content, data, folder, png

IMAGES = {f"{name}.png": png(grey) for name, grey in zip("abcd", (10, 20, 30, 40), strict=True)}
ROWS = "a.png,cat\nb.png,dog\nc.png,cat\nd.png,dog\n"
ALL = {10: ["cat"], 20: ["dog"], 30: ["cat"], 40: ["dog"]}
TWO = {10: ["cat"], 20: ["dog"]}

READ: dict[str, tuple[str, bytes | str, dict[int, list[str]]]] = {
    "no header": ("labels.csv", ROWS, ALL),
    "everything quoted": ("labels.csv", 'file,label\n"a.png","cat"\n"b.png","dog"\n', TWO),
    "blanks around labels": ("labels.csv", "file,label\na.png, cat \nb.png,dog\n", TWO),
    "empty rows": ("labels.csv", "file,label\n\n" + ROWS.replace("\n", "\n\n"), ALL),
    "UTF-16": ("labels.csv", ("file,label\n" + ROWS).encode("utf-16"), ALL),
    "separated by blanks": ("labels.csv", "file label \n" + ROWS.replace(",", "  "), ALL),
    "a comment first": ("labels.csv", "# by hand\nfile,label\n" + ROWS, ALL),
    "single quotes": ("labels.csv", "'file','label'\n'a.png','cat'\n'b.png','dog'\n", TWO),
    "a name in capitals": ("Labels.CSV", "file,label\n" + ROWS, ALL),
    "file addresses": ("labels.csv", "file,label\nfile:///home/x/a.png,cat\nfile:///home/x/b.png,dog\n", TWO),
    "JSON by class": ("labels.json", json.dumps({"cat": ["a.png", "c.png"], "dog": ["b.png", "d.png"]}), ALL),
    "JSON records by image": (
        "labels.json",
        json.dumps({"a.png": {"label": "cat"}, "b.png": {"label": "dog"}}),
        TWO,
    ),
    "JSON under one key": ("labels.json", json.dumps({"labels": {"a.png": "cat", "b.png": "dog"}}), TWO),
    "JSON lines": (
        "labels.json",
        '{"file": "a.png", "label": "cat"}\n{"file": "b.png", "label": "dog"}\n',
        TWO,
    ),
    "JSON array for lines": (
        "metadata.jsonl",
        '[{"file_name": "a.png", "label": "cat"},\n{"file_name": "b.png", "label": "dog"}]',
        TWO,
    ),
    "a JSON list of pairs": ("labels.json", json.dumps([["a.png", "cat"], ["b.png", "dog"]]), TWO),
}
REFUSED: dict[str, tuple[str, str, str]] = {
    "blanks in names": (
        "labels.csv", "file label\na.png cat\nmy b.png dog\n",
        "labels.csv:1: should be 'file,label', or 'file' and the name of each label, once; got 'file label'",
    ),
    "another suffix": (
        "labels.csv", "file,label\na.jpg,cat\nb.png,dog\n",
        "labels.csv:2: lists image 'a.jpg', which ROOT does not hold; did you mean 'a.png'?",
    ),
    "another folder": (
        "labels.csv", "file,label\n00000/a.png,cat\nb.png,dog\n",
        "labels.csv:2: lists image '00000/a.png', which ROOT does not hold; did you mean 'a.png'?",
    ),
    "an object of COCO": (
        "labels.json", '{"images": [{"file_name": "a.png"}], "annotations": []}',
        'labels.json:1: should be {"a.png": "cat", ...} or {"a.png": ["red", "big"], ...}; got an object with '
        "'images', 'annotations', which are no images",
    ),
    "a suffix in capitals": (
        "labels.csv", "file,label\nA.PNG,cat\nb.png,dog\n",
        "labels.csv:2: lists image 'A.PNG', which ROOT does not hold; did you mean 'a.png'?",
    ),
    "a label in capitals": (
        "labels.csv", "file,label\na.png,Cat\nb.png,dog\n",
        "labels.csv:2: label 'Cat' is not one of data.names; did you mean 'cat'?",
    ),
    "a row that contradicts another": (
        "labels.csv", "file,label\na.png,cat\na.png,dog\nb.png,dog\n",
        "labels.csv:3: lists image 'a.png' a second time; remove one",
    ),
    "probabilities": (
        "labels.csv", "file,cat,dog\na.png,0.9,0.1\nb.png,0,1\n",
        "labels.csv:2: 'cat' is '0.9', not 0 or 1 (a column of label names is called 'label')",
    ),
    "a one-hot row without a one": (
        "labels.csv", "file,cat,dog\na.png,0,0\nb.png,0,1\n",
        "labels.csv:2: image 'a.png' has no label; give it one, or remove it from the list to leave it out, or say "
        'data.label_kind = "many_of_k"',
    ),
    "a one-hot row with two ones": (
        "labels.csv", "file,cat,dog\na.png,1,1\nb.png,0,1\n",
        "labels.csv:2: image 'a.png' has 2 labels; it should have 1, or say data.label_kind = \"many_of_k\"",
    ),
    "numbers instead of names": (
        "labels.json", json.dumps({"a.png": 0, "b.png": 1}),
        'labels.json:1: label \'0\' is not one of data.names; the labels there are\nnames = ["0", "1"]',
    ),
}  # fmt: skip


def test_classes_that_are_numbers_or_places_in_vectors(tmp_path: Path) -> None:
    expected = {10: ["1"], 20: ["0"]}
    for name, text in (
        ("labels.json", '{"a.png": 1.0, "b.png": 0}'),
        ("labels.json", '{"a.png": [0, 1], "b.png": [1, 0]}'),
        ("dataset.json", '{"labels": [["a.png", [0.0, 1.0]], ["b.png", [1.0, 0.0]]]}'),
        ("dataset.json", '{"labels": {"a.png": 1, "b.png": 0}}'),
    ):
        root = folder(tmp_path / text.replace("/", " "), {**IMAGES, name: text})
        assert content(data(root, labels="file", names=("0", "1")), tmp_path) == expected


def test_images_are_numbered_with_other_zeros(tmp_path: Path) -> None:
    files = {"0001.png": png(1), "0012.png": png(2), "labels.csv": "id,label\n1,cat\n12,dog\n"}
    root = folder(tmp_path / "data", files)
    with pytest.raises(
        UserError, match=r"lists image '1', which .* does not hold; did you mean '0001.png'\?"
    ):
        content(data(root, labels="file", names=("cat", "dog")), tmp_path)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("train.csv", "rename 'train.csv' to labels.csv"),
        ("list.xlsx", "save 'list.xlsx' as labels.csv"),
        ("annotations.txt", "save 'annotations.txt' as labels.csv"),
    ],
)
def test_a_label_file_of_another_name_is_pointed_at(tmp_path: Path, name: str, advice: str) -> None:
    root = folder(tmp_path / "data", {**IMAGES, name: "file,label\n" + ROWS})
    with pytest.raises(UserError) as caught:
        data(root, labels="file").spec()
    assert str(caught.value).endswith(f'one of which data.labels = "file" needs; {advice} if it has them')


def test_labels_that_are_odd_are_remarked_as_comments_of_toml(tmp_path: Path) -> None:
    images = {f"{number}.png": png(number) for number in range(24)}
    rows = "".join(f"{number}.png,{number / 7:.3f}\n" for number in range(23)) + "23.png,NA\n"
    root = folder(tmp_path / "data", {**images, "labels.csv": "file,label\n" + rows})
    with pytest.raises(UserError) as caught:
        data(root, labels="file").spec()
    names, missing, many = str(caught.value).splitlines()[1:]
    assert len(tomllib.loads("\n".join((names, missing, many)))["names"]) == 24
    assert missing == "# if 'NA' means that there is no label, leave those cells empty"
    assert many == "# 24 labels for 24 images; labels are classes that images share"


@pytest.mark.parametrize("what", READ)
def test_read(tmp_path: Path, what: str) -> None:
    name, text, expected = READ[what]
    root = folder(tmp_path / "data", {**IMAGES, name: text})
    assert content(data(root, labels="file", names=("cat", "dog")), tmp_path) == expected


@pytest.mark.parametrize("what", REFUSED)
def test_refused(tmp_path: Path, what: str) -> None:
    name, text, expected = REFUSED[what]
    root = folder(tmp_path / "data", {**IMAGES, name: text})
    with pytest.raises(UserError) as caught:
        content(data(root, labels="file", names=("cat", "dog")), tmp_path)
    assert str(caught.value).replace(f"{root}/labels", "labels").replace(str(root), "ROOT") == expected


def test_the_advice_about_numbers_works_when_it_is_followed(tmp_path: Path) -> None:
    root = folder(tmp_path / "data", {**IMAGES, "labels.json": json.dumps({"a.png": 0, "b.png": 1})})
    assert content(data(root, labels="file", names=("0", "1")), tmp_path) == {10: ["0"], 20: ["1"]}


def test_two_label_files(tmp_path: Path) -> None:
    files = {"labels.csv": "file,label\n" + ROWS, "labels.json": "{}"}
    root = folder(tmp_path / "data", {**IMAGES, **files})
    with pytest.raises(UserError, match="both give labels; remove one"):
        content(data(root, labels="file", names=("cat", "dog")), tmp_path)
