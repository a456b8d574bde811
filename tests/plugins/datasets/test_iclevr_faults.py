"""Errors in the files of i-CLEVR are reported with their location, in one message."""

from __future__ import annotations

import json
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from ganforge.api import UserError
from ganforge_datasets.clevr_layout import NAMES
from ganforge_datasets.formats import formats
from support.encoded import chunk
from support.iclevr_files import FILES, LISTS, OBJECTS, PNGS, build, loose, zipped


def refused(root: Path, tmp_path: Path) -> str:
    with pytest.raises(UserError) as caught:
        build(root, tmp_path)
    return str(caught.value)


def test_root_missing(tmp_path: Path) -> None:
    root = tmp_path / "nowhere"
    assert refused(root, tmp_path) == (
        f"{root} does not exist; set data.root to the folder or zip with i-CLEVR, "
        "or remove it to render similar scenes"
    )


@pytest.mark.parametrize("name", ["train.json", "objects.json"])
def test_list_missing(tmp_path: Path, name: str) -> None:
    root = loose(tmp_path / "data")
    (root / name).unlink()
    assert refused(root, tmp_path) == (
        f"{root} has no {name}; expected a folder or zip with train.json, objects.json and images"
    )


def pretty(changes: dict[str, object]) -> str:
    return json.dumps(LISTS | changes, indent=0)


BAD_TRAIN = {
    "not json": (
        '{\n"a": ["red cube"],\n}',
        "3: is not JSON: Expecting property name enclosed in double quotes",
    ),
    "list": ("[]", '1: should be {"image.png": ["red cube", ...], ...}'),
    "nothing": ("{}", "1: lists no images"),
    "deep": ("[" * 200_000, "1: is nested too deeply"),
    "unknown": (
        pretty({FILES[0]: ["redd cube"]}),
        f"3: image '{FILES[0]}' is labelled 'redd cube', which objects.json does not list; "
        "did you mean 'red cube'?",
    ),
    "one line": (
        json.dumps(LISTS | {FILES[2]: ["teapot"]}),
        f"1: image '{FILES[2]}' is labelled 'teapot', which objects.json does not list",
    ),
    "no list": (pretty({FILES[0]: "red cube"}), f"2: image '{FILES[0]}' should have a list of object names"),
    "no names": (pretty({FILES[0]: []}), f"2: image '{FILES[0]}' should have a list of object names"),
    "numbers": (pretty({FILES[0]: [3]}), f"2: image '{FILES[0]}' should have a list of object names"),
    "many": (
        pretty({FILES[0]: list(NAMES[:4])}),
        f"2: image '{FILES[0]}' has 4 labels; i-CLEVR has at most 3",
    ),
}


@pytest.mark.parametrize("case", BAD_TRAIN)
def test_bad_train_json(tmp_path: Path, case: str) -> None:
    root = loose(tmp_path / "data")
    text, message = BAD_TRAIN[case]
    (root / "train.json").write_text(text)
    assert refused(root, tmp_path).split(";")[0] == f"{root / 'train.json'}:{message}".split(";")[0]
    if case != "not json":
        assert refused(root, tmp_path) == f"{root / 'train.json'}:{message}"


def test_not_utf8(tmp_path: Path) -> None:
    root = loose(tmp_path / "data")
    (root / "train.json").write_bytes(b'{"a\xff')
    assert (
        refused(root, tmp_path) == f"{root / 'train.json'}: is not UTF-8 text (byte 3); save it as UTF-8 "
        "(Excel: 'CSV UTF-8')"
    )


def test_huge_number(tmp_path: Path) -> None:
    root = loose(tmp_path / "data")
    (root / "objects.json").write_text('{"a": ' + "9" * 5000 + "}")
    assert refused(root, tmp_path).startswith(f"{root / 'objects.json'}:1: is not JSON: ")


SWAPPED = OBJECTS | {"gray cube": 1, "red cube": 0}
BAD_OBJECTS = {
    "list": ("[1]", '1: should be {"gray cube": 0, ...}, each object with its number'),
    "text": (
        json.dumps(OBJECTS | {"red cube": "1"}),
        '1: should be {"gray cube": 0, ...}, each object with its number',
    ),
    "order": (json.dumps(SWAPPED, indent=0), "2: 'gray cube' has number 1; in i-CLEVR it is 0"),
    "fewer": (json.dumps({"gray cube": 0}), "1: 'red cube' is missing; i-CLEVR has 24 objects"),
    "other": (
        json.dumps({"gray cub": 0} | OBJECTS, indent=0),
        "2: 'gray cub' is not one of the 24 objects of i-CLEVR; did you mean 'gray cube'?",
    ),
}


@pytest.mark.parametrize("case", BAD_OBJECTS)
def test_bad_objects_json(tmp_path: Path, case: str) -> None:
    root = loose(tmp_path / "data")
    text, message = BAD_OBJECTS[case]
    (root / "objects.json").write_text(text)
    assert refused(root, tmp_path) == f"{root / 'objects.json'}:{message}"


def test_images_missing(tmp_path: Path) -> None:
    root = loose(tmp_path / "data")
    (root / "images" / FILES[4]).unlink()
    assert refused(root, tmp_path) == (
        f"{root / 'train.json'} lists image '{FILES[4]}', which {root} does not hold"
    )
    (root / "images" / FILES[7]).unlink()
    assert refused(root, tmp_path) == (
        f"{root / 'train.json'} lists image '{FILES[4]}' and 1 more, which {root} does not hold"
    )


def claims(width: int, height: int) -> bytes:
    """A tiny PNG that says it is large."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


BROKEN = {
    "zero bytes": (b"", " is empty (0 bytes); copy it again"),
    "text": (b"hello, world", f" is not an image (of {', '.join(formats())})"),
    "bomb": (claims(9000, 9000), " is 9000 x 9000; more than 64,000,000 pixels is refused; make it smaller"),
}


@pytest.mark.parametrize("case", BROKEN)
@pytest.mark.parametrize("form", [loose, zipped])
def test_broken_images(
    tmp_path: Path, form: Callable[[Path], Path], case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, message = BROKEN[case]
    monkeypatch.setitem(PNGS, FILES[5], data)
    root = form(tmp_path / "data")
    where = root / ("images" if form is loose else "images.zip") / FILES[5]
    assert refused(root, tmp_path) == f"{where}{message}"
    assert list((tmp_path / "cache").glob("*")) == []


@pytest.mark.parametrize("cut", [20, 60, 1000])
def test_truncated_image(tmp_path: Path, cut: int) -> None:
    root = loose(tmp_path / "data")
    path = root / "images" / FILES[0]
    path.write_bytes(path.read_bytes()[:cut])
    message = refused(root, tmp_path)
    assert message.startswith(str(path))
    assert message.endswith("; copy it again") or message.endswith(
        f" is not an image (of {', '.join(formats())})"
    )


def test_damage_inside_a_zip(tmp_path: Path) -> None:
    root = zipped(tmp_path / "data")
    path = root / "images.zip"
    raw = bytearray(path.read_bytes())
    raw[raw.index(PNGS[FILES[3]]) + 500] ^= 255
    path.write_bytes(raw)
    assert refused(root, tmp_path) == (
        f"{path}/{FILES[3]} cannot be read from the zip: Bad CRC-32 for file '{FILES[3]}'"
    )


@pytest.mark.parametrize("member", ["../evil.png", "/etc/evil.png", "a/../../evil.png", "..\\evil.png"])
def test_members_that_point_outside(tmp_path: Path, member: str) -> None:
    root = zipped(tmp_path / "data")
    with zipfile.ZipFile(root / "images.zip", "a") as archive:
        archive.writestr(member, b"x")
    assert refused(root, tmp_path) == (
        f"{root / 'images.zip'} holds '{member}', which points outside of the zip; refused"
    )


def test_not_a_zip(tmp_path: Path) -> None:
    path = tmp_path / "data.zip"
    path.write_bytes(b"x" * 100)
    assert refused(path, tmp_path) == f"{path} is not a zip, or is cut short; copy it again"
    root = zipped(tmp_path / "data")
    (root / "images.zip").write_bytes((root / "images.zip").read_bytes()[:-50])
    assert refused(root, tmp_path) == f"{root / 'images.zip'} is not a zip, or is cut short; copy it again"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_file_without_permission(tmp_path: Path) -> None:
    root = loose(tmp_path / "data")
    (root / "train.json").chmod(0)
    assert refused(root, tmp_path) == f"{root / 'train.json'} cannot be read: Permission denied"
