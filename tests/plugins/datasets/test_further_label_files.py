"""More label files as people write them: what is read, and what is refused with which words."""

from __future__ import annotations

import json
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
    "a JSON list of pairs": ("labels.json", json.dumps([["a.png", "cat"], ["b.png", "dog"]]), TWO),
}
REFUSED: dict[str, tuple[str, str, str]] = {
    "separated by blanks": (
        "labels.csv", "file label\n" + ROWS.replace(",", " "),
        "labels.csv:1: should be 'file,label', or 'file' and the name of each label, once; got 'file label'",
    ),
    "a comment first": (
        "labels.csv", "# by hand\nfile,label\n" + ROWS,
        "labels.csv:1: should be 'file,label', or 'file' and the name of each label, once; got '# by hand'",
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
        "labels.csv:3: lists image 'a.png' a second time",
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
