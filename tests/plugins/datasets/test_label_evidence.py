"""Label files as people write them: what can only mean one thing is read, what contradicts the images is not.

Advice is followed: what a message says to write into the run file is written there, and must then work.
"""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path

import pytest

from ganforge.api import UserError
from support.pictures import content, data, folder, png

IMAGES = {"r.png": png(10), "g.png": png(20), "b.png": png(30), "sub/d.png": png(40)}
COLORS = {10: ["red"], 20: ["green"], 30: ["blue"]}
MANY = {"label_kind": "many_of_k"}
ROWS = "r.png,red\ng.png,green\nb.png,blue\n"
TABLE = {10: ["smile"], 20: ["male"], 30: ["smile", "male"]}

ONE_MEANING: dict[str, tuple[str, str | bytes]] = {
    "semicolons": ("labels.csv", "file;label\nr.png;red\ng.png;green\nb.png;blue\n"),
    "semicolons at the end": ("labels.csv", "file;label;\nr.png;red;\ng.png;green;\nb.png;blue;\n"),
    "tabs": ("labels.csv", "file\tlabel\nr.png\tred\ng.png\tgreen\nb.png\tblue\n"),
    "tsv": ("labels.tsv", "file\tlabel\nr.png\tred\ng.png\tgreen\nb.png\tblue\n"),
    "bars": ("labels.csv", "file|label\nr.png|red\ng.png|green\nb.png|blue\n"),
    "excel names the separator": ("labels.csv", "sep=;\nfile;label\nr.png;red\ng.png;green\nb.png;blue\n"),
    "blanks": ("labels.csv", "file , label \nr.png , red \n g.png,green\nb.png,\tblue\u00a0\n"),
    "blank lines": ("labels.csv", "\n\nfile,label\n\nr.png,red\n ,\ng.png,green\n\nb.png,blue\n\n"),
    "no header": ("labels.csv", ROWS),
    "utf-16": ("labels.csv", ("file,label\n" + ROWS).encode("utf-16")),
    "byte order mark": ("labels.csv", "\ufefffile,label\n" + ROWS),
    "old line breaks": ("labels.csv", ("file,label\n" + ROWS).replace("\n", "\r")),
    "label first": ("labels.csv", "label,file\nred,r.png\ngreen,g.png\nblue,b.png\n"),
    "pandas": ("labels.csv", ",file,label\n0,r.png,red\n1,g.png,green\n2,b.png,blue\n"),
    "pandas, drawn": ("labels.csv", ",file,label\n7,r.png,red\n1,g.png,green\n20,b.png,blue\n"),
    "pandas, read again": ("labels.csv", "Unnamed: 0,file,label\n0,r.png,red\n1,g.png,green\n2,b.png,blue\n"),
    "numbered": ("labels.csv", "id,file,label\n1,r.png,red\n2,g.png,green\n3,b.png,blue\n"),
    "another name": ("labels.csv", "filename,class\n" + ROWS),
    "a column for something else": ("labels.csv", "file,label,split\nr.png,red,a\ng.png,green,b\nb.png,blue,a\n"),
    "no suffixes": ("labels.csv", "id,breed\nr,red\ng,green\nb,blue\n"),
    "the folder's name": ("labels.csv", "file,label\ndata/r.png,red\n./g.png,green\ndata/b.png,blue\n"),
    "json records": ("labels.json", json.dumps([{"file": f"{name[0]}.png", "label": name} for name in ("red", "green", "blue")])),
    "hugging face": (
        "metadata.jsonl",
        '{"file_name": "r.png", "label": "red"}\n\n{"file_name": "g.png", "label": "green"}\n{"file_name": "b.png", "label": "blue"}\n',
    ),
    "hugging face csv": ("metadata.csv", "file_name,label\n" + ROWS),
}  # fmt: skip


@pytest.mark.parametrize("case", ONE_MEANING)
def test_labels_that_can_only_mean_one_thing(tmp_path: Path, case: str) -> None:
    name, text = ONE_MEANING[case]
    root = folder(tmp_path / "data", IMAGES | {name: text})
    dataset = data(root, labels="file", names=("blue", "green", "red"))
    assert content(dataset, tmp_path) == COLORS


def test_paths_of_another_computer(tmp_path: Path) -> None:
    text = "file,label\n/home/me/sub/d.png,red\nC:\\me\\g.png,green\nsub\\..\\b.png,blue\n"
    root = folder(tmp_path / "data", IMAGES | {"labels.csv": text})
    with pytest.raises(
        UserError, match=r"labels.csv:4: lists image 'sub\\..\\b.png', which .* does not hold"
    ):
        content(data(root, labels="file", names=("blue", "green", "red")), tmp_path)
    folder(root, {"labels.csv": text.replace("sub\\..\\b", ".\\b")})
    dataset = data(root, labels="file", names=("blue", "green", "red"))
    assert content(dataset, tmp_path) == {40: ["red"], 20: ["green"], 30: ["blue"]}


def test_names_that_are_numbers_are_not_taken_for_labels(tmp_path: Path) -> None:
    files = {f"{number}.png": png(10 * number) for number in (1, 2, 3)}
    for text in ("file,target\n1.png,2\n2.png,1\n3.png,2\n", "target,file\n2,1.png\n1,2.png\n2,3.png\n"):
        root = folder(tmp_path / "data", files | {"labels.csv": text})
        assert content(data(root, labels="file", names=("1", "2")), tmp_path) == {
            10: ["2"],
            20: ["1"],
            30: ["2"],
        }


@pytest.mark.parametrize(
    ("yes", "no"),
    [("1", "0"), ("True", "False"), ("1.0", "0.0"), ("yes", "No"), ("T", "F"), ("1", "-1"), ("y", "n")],
)
def test_yes_and_no_in_every_form(tmp_path: Path, yes: str, no: str) -> None:
    text = f"file,smile,male\nr.png,{yes},{no}\ng.png,{no},{yes}\nb.png,{yes},{yes}\n"
    root = folder(tmp_path / "data", IMAGES | {"labels.csv": text})
    assert content(data(root, labels="file", names=("smile", "male"), **MANY), tmp_path) == TABLE


SEVERAL = {
    "bars": "file,label\nr.png,red|big\ng.png,green\nb.png,\n",
    "semicolons": "file,tags\nr.png,red; big\ng.png,green\nb.png,\n",
    "commas": 'file,label\nr.png,"red, big"\ng.png,green\nb.png,\n',
    "as python writes": "file,label\nr.png,\"['red', 'big']\"\ng.png,['green']\nb.png,[]\n",
    "json": '{"r.png": "red|big", "g.png": ["green"], "b.png": null}',
    "json, one by one": '{"r.png": {"red": 1, "big": true, "green": 0}, "g.png": {"green": 1}, "b.png": []}',
    "lines": '{"file_name": "r.png", "label": ["red", "big"]}\n{"file_name": "g.png", "label": "green"}\n'
    '{"file_name": "b.png"}\n',
}


@pytest.mark.parametrize("case", SEVERAL)
def test_several_labels_an_image(tmp_path: Path, case: str) -> None:
    name = {"json": "labels.json", "json, one by one": "labels.json", "lines": "metadata.jsonl"}.get(
        case, "labels.csv"
    )
    root = folder(tmp_path / "data", IMAGES | {name: SEVERAL[case]})
    found = {10: ["big", "red"], 20: ["green"], 30: []}
    assert content(data(root, labels="file", names=("big", "green", "red"), **MANY), tmp_path) == found
    assert followed(root, tmp_path, **MANY) == found


def followed(root: Path, tmp_path: Path, **fields: object) -> dict[int, list[str]]:
    """What is read with the names that the message without them says to write."""
    with pytest.raises(UserError) as caught:
        data(root, labels="file", **fields).spec()
    advice = tomllib.loads(str(caught.value).split("\n", 1)[1])
    return content(data(root, labels="file", **fields | advice | {"names": tuple(advice["names"])}), tmp_path)


ADVICE: dict[str, tuple[str, str, dict[int, list[str]]]] = {
    "numbers of classes": ("labels.csv", "file,target\nr.png,0\ng.png,10\nb.png,2\n", {10: ["0"], 20: ["10"], 30: ["2"]}),
    "two classes": ("labels.csv", "file,target\nr.png,0\ng.png,1\nb.png,0\n", {10: ["0"], 20: ["1"], 30: ["0"]}),
    "numbers with a gap": ("labels.csv", "file,target\nr.png,0.0\ng.png,10.0\nb.png,2.0\n", {10: ["0"], 20: ["10"], 30: ["2"]}),
    "one of each": ("labels.csv", "file,a,b\nr.png,1,0\ng.png,0,1\n", {10: ["a"], 20: ["b"]}),
    "many of each": ("labels.csv", "file,a,b\nr.png,1,1\ng.png,0,1\n", {10: ["a", "b"], 20: ["b"]}),
    "none of each": ("labels.csv", "file,a,b\nr.png,0,0\ng.png,0,1\n", {10: [], 20: ["b"]}),
    "bars": ("labels.csv", "file,label\nr.png,x|y\ng.png,y\n", {10: ["x", "y"], 20: ["y"]}),
    "stylegan": ("dataset.json", '{"labels": [["r.png", 0], ["sub/d.png", 11], ["b.png", 2]]}', {10: ["0"], 40: ["11"], 30: ["2"]}),
    "json numbers": ("labels.json", '{"r.png": 1, "g.png": 0}', {10: ["1"], 20: ["0"]}),
    "lines with numbers": ("metadata.jsonl", '{"file_name": "r.png", "label": 1}\n{"file_name": "g.png", "label": 0}\n', {10: ["1"], 20: ["0"]}),
    "delete": ("labels.csv", "file,label\nr.png,a\x7fb\n", {10: ["a\x7fb"]}),
}  # fmt: skip


@pytest.mark.parametrize("case", ADVICE)
def test_advice_works_when_it_is_followed(tmp_path: Path, case: str) -> None:
    name, text, found = ADVICE[case]
    assert followed(folder(tmp_path / "data", IMAGES | {name: text}), tmp_path) == found


def test_advice_where_the_names_are_those_of_columns(tmp_path: Path) -> None:
    root = folder(tmp_path / "data", IMAGES | {"labels.csv": "file,target\nr.png,0\ng.png,1\n"})
    with pytest.raises(UserError) as caught:
        content(data(root, labels="file", names=("target",)), tmp_path)
    first, advice = str(caught.value).split("\n")
    assert first == f"{root}/labels.csv:2: label '0' is not one of data.names; the labels there are"
    assert tomllib.loads(advice) == {"names": ["0", "1"]}
    # As one label that an image has or has not it is read, and what was made of it is said.
    said = list[str]()
    assert content(data(root, labels="file", names=("target",), **MANY), tmp_path, said) == {
        10: [],
        20: ["target"],
    }
    assert said[-1] == (
        f"data: {root}/labels.csv: 'target' is one label, which 1 of 2 images have; for classes 0 and 1 say "
        'label_kind = "one_of_k" and name them'
    )


CONTRADICTIONS: dict[str, tuple[str, str, dict[str, object], str]] = {
    "json twice": ("labels.json", '{"r.png": "red",\n"g.png": "green",\n"r.png": "blue"}', {}, "3: lists 'r.png' a second time; remove one of the two"),
    "json twice, escaped": ("labels.json", '{"r.png": "red",\n"\\u0072.png": "blue"}', {}, "1: lists 'r.png' a second time; remove one of the two"),
    "pairs twice": ("dataset.json", '{"labels": [["r.png", 0],\n["r.png", 1]]}', {}, "2: lists image 'r.png' a second time; remove one"),
    "rows twice": ("labels.csv", "file,label\nr.png,red\nr.png,big\n", MANY, "3: lists image 'r.png' a second time; give all its labels in one place, such as red|big"),
    "-1 and 0": ("labels.csv", "file,a,b\nr.png,1,-1\ng.png,0,1\n", MANY, "2: has -1 where other cells are 0; which of the two means no, and what does the other mean? Write 0 or 1"),
    "empty cells": ("labels.csv", "file,a,b\nr.png,1,\ng.png,0,1\n", MANY, "2: 'b' is empty; write 0 or 1"),
    "two columns of words": ("labels.csv", "file,color,size\nr.png,red,big\n", {}, "2: 'color' is 'red', not 0 or 1 (a column of label names is called 'label')"),
    "another case": ("labels.csv", "file,label\nR.PNG,red\n", {}, "2: lists image 'R.PNG', which {root} does not hold; did you mean 'r.png'?"),
    "no header, three columns": ("labels.csv", "r.png,1,0\ng.png,0,1\n", MANY, "1: is an image already; the first line should name the columns, 'file' and each label"),
    "no name": ("labels.csv", "file,,a\nr.png,x,1\n", MANY, "1: should be 'file,label', or 'file' and the name of each label, once; a column has no name"),
    "no labels": ("dataset.json", '{"labels": null}', {}, '1: has no labels ("labels": null); say data.labels = "none"'),
    "vectors": ("dataset.json", '{"labels": [["r.png", [0.5, 0.25]]]}', {}, "1: image 'r.png' should have a label or a list of labels; got [0.5, 0.25]"),
    "bad pair": ("dataset.json", '{"labels": [["r.png", 0], ["g.png"]]}', {}, """1: entry 1 (counted from 0) is ['g.png']; should be {{"labels": [["a.png", 0], ...]}}"""),
    "bad line": ("metadata.jsonl", '{"file_name": "r.png", "label": 1}\n{"file_name": "g.png" "label": 0}\n', {}, "2: is not JSON: Expecting ',' delimiter"),
    "no object": ("metadata.jsonl", '["r.png", 1]\n', {}, '1: expected an object such as {{"file_name": "a.png", "label": "cat"}}'),
    "one key": ("metadata.jsonl", '{"file_name": "r.png"}\n', {}, '1: has the key file_name alone; expected {{"file_name": "a.png", "label": "cat"}}'),
    "boxes": ("metadata.jsonl", '{"file_name": "r.png", "objects": {"bbox": [1]}}\n', {}, "1: 'objects' is {{'bbox': [1]}}; expected a label or a list of labels"),
}  # fmt: skip


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_what_contradicts_is_refused_at_its_line(tmp_path: Path, case: str) -> None:
    name, text, fields, message = CONTRADICTIONS[case]
    root = folder(tmp_path / "data", IMAGES | {name: text})
    with pytest.raises(UserError) as caught:
        content(data(root, labels="file", names=("red", "big"), **fields), tmp_path)
    assert str(caught.value) == f"{root}/{name}:{message.format(root=root)}"


def test_labels_in_bars_for_one_label_an_image(tmp_path: Path) -> None:
    root = folder(tmp_path / "data", IMAGES | {"labels.csv": "file,label\nr.png,red|big\ng.png,red\n"})
    with pytest.raises(UserError) as caught:
        content(data(root, labels="file", names=("red", "big")), tmp_path)
    assert str(caught.value) == (
        f"{root}/labels.csv:2: label 'red|big' is not one of data.names; if these are several labels, say "
        'data.label_kind = "many_of_k"'
    )


def test_captions_are_no_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganforge_datasets.image_labels.MAX_LABELS", 1)
    lines = '{"file_name": "r.png", "text": "a red one"}\n{"file_name": "g.png", "text": "a green one"}\n'
    root = folder(tmp_path / "data", IMAGES | {"metadata.jsonl": lines})
    with pytest.raises(UserError) as caught:
        data(root, labels="file").spec()
    assert str(caught.value) == (
        f"{root}/metadata.jsonl has 2 different labels for 2 images, such as 'a green one'; labels are classes, "
        "at most 1"
    )


def test_letters_are_compared_in_one_form(tmp_path: Path) -> None:
    """Of a name on the disk, in the run file and in a label file each may have letters and accents apart."""
    apart, together = "cafe\u0301", "caf\u00e9"
    files = {f"{apart}.png": png(10), "the.png": png(20)}
    for listed in (apart, together):
        text = f"file,label\n{listed}.png,{listed}\nthe.png,the\n"
        root = folder(tmp_path / "data", files | {"labels.csv": text})
        for name in (apart, together):
            found = content(data(root, labels="file", names=(name, "the")), tmp_path)
            assert found == {10: [together], 20: ["the"]}
    root = folder(tmp_path / "classes", {f"{apart}/a.png": png(10), "the/a.png": png(20)})
    assert content(data(root, labels="folder", names=(together, "the")), tmp_path) == {
        10: [together],
        20: ["the"],
    }
    folder(root, {f"{together}/b.png": png(30)})
    with pytest.raises(
        UserError, match=r"differ only in how the letters are encoded, 'cafe\\u0301' and 'caf\\xe9'"
    ):
        content(data(root, labels="folder", names=(together, "the")), tmp_path)


def test_letters_that_look_alike_are_shown_apart(tmp_path: Path) -> None:
    root = folder(tmp_path / "data", IMAGES | {"labels.csv": "file,label\nr.png,c\u0430t\ng.png,dog\n"})
    with pytest.raises(UserError) as caught:
        content(data(root, labels="file", names=("cat", "dog")), tmp_path)
    assert str(caught.value) == (
        f"{root}/labels.csv:2: label 'c\u0430t' is not one of data.names; did you mean 'cat'? (got "
        "'c\\u0430t', and that is 'cat')"
    )


def test_a_folder_whose_name_is_no_text_is_no_class(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    root = folder(tmp_path / "data", {f"{name}/a.png": png(10), "the/a.png": png(20)})
    with pytest.raises(UserError) as caught:
        data(root, labels="folder").spec()
    assert str(caught.value) == (
        f"{root}/{name}: the folder's name b'caf\\xe9' is not UTF-8, so it cannot be a label in a run file; "
        "rename the folder"
    )
    assert sorted(content(data(root), tmp_path)) == [10, 20], "without labels its images are used"
