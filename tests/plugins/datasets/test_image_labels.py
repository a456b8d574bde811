"""The labels of `image_folder`: of sub-folders, of labels.json and of labels.csv."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from pydantic import ValidationError

from ganforge.api import UserError
from support.contexts import opened
from support.pictures import FILES, bad, content, data, folder, png, zipped

BY_FOLDER = {10: ["cat"], 20: ["cat"], 30: ["cat"], 40: ["dog"], 50: ["dog"]}


@pytest.mark.parametrize("form", [folder, zipped])
@pytest.mark.parametrize("outer", ["", "pets/"])
def test_sub_folders_are_classes(tmp_path: Path, form: type, outer: str) -> None:
    root = form(tmp_path / "data", {outer + name: each for name, each in FILES.items()})
    dataset = data(root, labels="folder", names=("dog", "cat"))
    assert content(dataset, tmp_path) == BY_FOLDER
    assert dataset.spec().labels.names == ("dog", "cat") and dataset.spec().labels.kind == "one_of_k"


def test_one_class_is_not_looked_through(tmp_path: Path) -> None:
    root = folder(tmp_path / "data", {"cat/x/a.png": png(1), "cat/y/b.png": png(2)})
    assert content(data(root, labels="folder", names=("cat",)), tmp_path) == {1: ["cat"], 2: ["cat"]}


CSV = "file,label\ncat/a.png,old\ncat/b.png,new\n\ncat/deep/c.png, old\nd.png,new\n"
JSON = {"cat/a.png": "old", "./cat/b.png": ["new"], "c.png": "old", "dog/d.png": "new"}


@pytest.mark.parametrize("form", [folder, zipped])
@pytest.mark.parametrize("base", ["", "pets/"])
@pytest.mark.parametrize(
    "lists", [{"labels.csv": CSV}, {"labels.json": json.dumps(JSON)}], ids=["csv", "json"]
)
def test_one_label_each_of_a_file(tmp_path: Path, form: type, base: str, lists: dict[str, str]) -> None:
    files = FILES | {"sub/labels.json": "not looked at"} | lists
    root = form(tmp_path / "data", {base + name: each for name, each in files.items()})
    said = list[str]()
    dataset = data(root, labels="file", names=("new", "old"))
    assert content(dataset, tmp_path, said) == {10: ["old"], 20: ["new"], 30: ["old"], 50: ["new"]}
    assert said == [
        f"data: 5 images in {root}; nothing skipped",
        f"data: 1 images of {root} have no label and are left out",
    ]


TABLE = "image,big,red,wet\ncat/a.png,1,0,1\ncat/b.png,0,0,0\ndog/a.png,0,1,0\n"
LISTS = {"cat/a.png": ["big", "wet"], "cat/b.png": [], "dog/a.png": ["red"]}


@pytest.mark.parametrize(
    "lists", [{"labels.csv": TABLE}, {"labels.json": json.dumps(LISTS)}], ids=["csv", "json"]
)
def test_many_labels_of_a_file(tmp_path: Path, lists: dict[str, str]) -> None:
    root = folder(tmp_path / "data", FILES | lists)
    dataset = data(root, labels="file", names=("big", "red", "wet"), label_kind="many_of_k")
    assert content(dataset, tmp_path) == {10: ["big", "wet"], 20: [], 40: ["red"]}
    assert dataset.spec().labels.kind == "many_of_k"


@pytest.mark.parametrize(
    ("labels", "more", "names"),
    [
        ("folder", {}, ["cat", "dog"]),
        ("file", {"labels.csv": CSV}, ["new", "old"]),
        ("file", {"labels.json": json.dumps(JSON)}, ["new", "old"]),
        ("file", {"labels.csv": TABLE.replace("big", "blå")}, ["blå", "red", "wet"]),
    ],
)
def test_names_that_are_missing_are_listed_to_paste(
    tmp_path: Path, labels: str, more: dict[str, str], names: list[str]
) -> None:
    root = folder(tmp_path / "data", FILES | more)
    with pytest.raises(UserError) as caught:
        data(root, labels=labels).spec()
    first, lines = str(caught.value).split("\n", 1)
    assert first == f'data.labels = "{labels}" needs data.names; those of {root} are'
    advice = tomllib.loads(lines)
    kind = {"label_kind": "many_of_k"} if "red" in names else {}
    assert advice == {"names": names, **kind}
    # And pasted, they do.
    opened(data(root, labels=labels, names=tuple(names), **kind), tmp_path)


def test_folders_and_names_disagree(tmp_path: Path) -> None:
    root = tmp_path / "data"
    assert bad(tmp_path, FILES, labels="folder", names=("cats", "dog")) == (
        f"{root / 'cat'}: label 'cat' is not one of data.names; did you mean 'cats'?"
    )
    assert bad(tmp_path, FILES, labels="folder", names=("cat", "dog", "cow")) == (
        f"data.names lists 'cow', but {root} has no such sub-folder with images"
    )
    assert bad(tmp_path, {"top.png": png(1)}, labels="folder", names=("cat", "dog")) == (
        f"{root / 'top.png'} lies in no sub-folder and so has no class; move it into one, "
        'or say data.labels = "none"'
    )


BAD_JSON = {
    "list": ('["a"]', '1: should be {"a.png": "cat", ...} or {"a.png": ["red", "big"], ...}'),
    "syntax": ('{\n"a" "b"}', "2: is not JSON: Expecting ':' delimiter"),
    "number": ('{\n"d.png": 3.5}', "2: image 'd.png' should have a label or a list of labels; got 3.5"),
    "numbers": (
        '{"d.png": [3]}',
        "1: label '3' is not one of data.names; the labels there are\nnames = [\"3\"]",
    ),
    "table": (
        '{"d.png": {"big": {}}}',
        "1: 'big' is {}; expected a label or a list of labels",
    ),
    "key": (
        '{"d.png": "old",\n"b.png": "new",\n"d.png": "new"}',
        "3: lists 'd.png' a second time; remove one of the two",
    ),
    "nothing": ("{}", "1: lists no images"),
    "unknown": (
        '{"d.png": "old",\n"b.png": "knew"}',
        "2: label 'knew' is not one of data.names; did you mean 'new'?",
    ),
    "two": (
        '{"d.png": "old",\n"b.png": ["new", "old"]}',
        "2: image 'b.png' has 2 labels; it should have 1, or say data.label_kind = \"many_of_k\"",
    ),
    "twice": (
        '{"dog/d.png": "old",\n"b.png": "new",\n"d.png": "new"}',
        "3: lists image 'd.png' a second time; remove one",
    ),
    "absent": ('{\n\n"cow.png": "old"}', "3: lists image 'cow.png', which {root} does not hold"),
    "unclear": ('{"a.png": "old"}', "1: lists image 'a.png', of which {root} holds 2; say which"),
}


@pytest.mark.parametrize("case", BAD_JSON)
def test_bad_json(tmp_path: Path, case: str) -> None:
    text, message = BAD_JSON[case]
    root = tmp_path / "data"
    said = bad(tmp_path, FILES | {"labels.json": text}, labels="file", names=("new", "old"))
    assert said == f"{root / 'labels.json'}:{message.replace('{root}', str(root))}"


HEADER = "should be 'file,label', or 'file' and the name of each label, once"
NO_LABEL = (
    "image 'b.png' has no label; give it one, or remove it from the list to leave it out, "
    'or say data.label_kind = "many_of_k"'
)
BAD_CSV = {
    "empty": ("", f"1: {HEADER}; it is empty"),
    "header": ("file\n", f"1: {HEADER}; got 'file'"),
    "columns": ("file,a,a\n", f"1: {HEADER}; got 'file,a,a'"),
    "width": ("file,label\nd.png,new,old\n", "2: has 3 columns; the first line has 2"),
    "value": (
        "file,new,old\nd.png,1,0\nb.png,0,maybe\n",
        "3: 'old' is 'maybe', not 0 or 1 (a column of label names is called 'label')",
    ),
    "rows": ("file,label\n", "1: lists no images"),
    "unknown": (
        "file,label\nd.png,new\nb.png,odd\n",
        "3: label 'odd' is not one of data.names; did you mean 'old'?",
    ),
    "column": ("file,new,odd\nd.png,1,0\n", "1: label 'odd' is not one of data.names; did you mean 'old'?"),
    "none": (
        "file,new,old\nd.png,1,0\nb.png,0,0\n",
        f"3: {NO_LABEL}",
    ),
}


@pytest.mark.parametrize("case", BAD_CSV)
def test_bad_csv(tmp_path: Path, case: str) -> None:
    text, message = BAD_CSV[case]
    said = bad(tmp_path, FILES | {"labels.csv": text}, labels="file", names=("new", "old"))
    assert said == f"{tmp_path / 'data' / 'labels.csv'}:{message}"


def test_other_troubles_with_label_files(tmp_path: Path) -> None:
    root, names = tmp_path / "data", ("new", "old")
    assert bad(tmp_path, FILES, labels="file", names=names) == (
        f"{root} holds no labels.json, labels.csv, labels.tsv, dataset.json, metadata.jsonl or metadata.csv, "
        'one of which data.labels = "file" needs'
    )
    assert bad(tmp_path, {"labels.csv": CSV}, labels="file", names=("new", "old", "mew")) == (
        f"data.names lists 'mew', but {root / 'labels.csv'} has no such label; did you mean 'new'?"
    )
    assert bad(tmp_path, {"labels.csv": b"file,label\n\xff"}, labels="file", names=names) == (
        f"{root / 'labels.csv'}: is not UTF-8 text (byte 11); save it as UTF-8 (Excel: 'CSV UTF-8')"
    )
    assert bad(tmp_path, {"labels.json": "{}"}, labels="file", names=names) == (
        f"{root / 'labels.csv'} and {root / 'labels.json'} both give labels; remove one"
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"names": ("a",)},
            'there are no labels to name while labels = "none"; say "folder" or "file"',
        ),
        ({"labels": "folder", "names": ("a", "b", "a")}, "a name is given twice"),
        ({"labels": "folder", "names": ("a", " b")}, "a name is empty, or has blanks around it"),
        ({"labels": "folder", "names": ("a", "")}, "a name is empty, or has blanks around it"),
    ],
)
def test_names_are_checked(tmp_path: Path, fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        data(tmp_path, **fields)
    assert [error["msg"] for error in caught.value.errors()] == [f"Value error, {message}"]
