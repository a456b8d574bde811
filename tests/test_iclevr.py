from __future__ import annotations

import io
import json
import os
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from ganforge.api import Context, Samples, UserError
from ganforge_datasets import decode
from ganforge_datasets.clevr_layout import NAMES, draw_scenes
from ganforge_datasets.clevr_scenes import render
from ganforge_datasets.iclevr import ICLEVR

T = TypeVar("T")
SCENES = draw_scenes(4, 0)
IMAGES = render(SCENES, 64)
FILES = [f"CLEVR_train_{scene:06d}_{image}.png" for scene in range(4) for image in range(3)]
LISTS = {file: [NAMES[i] for i in SCENES.names[n // 3, : n % 3 + 1]] for n, file in enumerate(FILES)}
OBJECTS = {name: number for number, name in enumerate(NAMES)}


def png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image.transpose(1, 2, 0)).save(buffer, "PNG")
    return buffer.getvalue()


PNGS = dict(zip(FILES, map(png, IMAGES), strict=True))


def lists(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "train.json").write_text(json.dumps(LISTS))
    (folder / "objects.json").write_text(json.dumps(OBJECTS))


def loose(folder: Path, inner: str = "images") -> Path:
    lists(folder)
    (folder / inner).mkdir(exist_ok=True)
    for name, data in PNGS.items():
        (folder / inner / name).write_bytes(data)
    return folder


def zipped(folder: Path) -> Path:
    lists(folder)
    with zipfile.ZipFile(folder / "images.zip", "w") as archive:
        for name, data in PNGS.items():
            archive.writestr(name, data)
    return folder


def one_zip(folder: Path) -> Path:
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("iclevr/train.json", json.dumps(LISTS))
        archive.writestr("iclevr/objects.json", json.dumps(OBJECTS))
        for name, data in PNGS.items():
            archive.writestr(f"iclevr/images/{name}", data)
    return path


def context(cache: Path, said: list[str] | None = None) -> Context:
    def track(items: Iterable[T], total: int, what: str) -> Iterator[T]:
        steps = list(items)
        assert len(steps) == total
        return iter(steps)

    return Context(cache, (said if said is not None else []).append, track)


def build(root: Path | None, tmp_path: Path, **fields: object) -> Samples:
    return ICLEVR(root=root, **fields).build("train", context(tmp_path / "cache"))  # type: ignore[arg-type]


def refused(root: Path, tmp_path: Path) -> str:
    with pytest.raises(UserError) as caught:
        build(root, tmp_path)
    return str(caught.value)


FORMS = [
    loose,
    lambda folder: loose(folder, "."),
    lambda folder: loose(folder, "deep down"),
    zipped,
    one_zip,
]


@pytest.mark.parametrize("form", FORMS, ids=["images", "loose", "elsewhere", "images.zip", "one zip"])
def test_every_form_gives_the_same_samples(tmp_path: Path, form: Callable[[Path], Path]) -> None:
    samples = build(form(tmp_path / "data"), tmp_path, mirror=True)
    assert samples.images.dtype == torch.uint8 and samples.mirror
    assert np.array_equal(samples.images.numpy(), IMAGES)
    assert samples.labels is not None and samples.labels.dtype == torch.uint8
    spec = ICLEVR().spec().labels
    for row, names in zip(samples.labels, LISTS.values(), strict=True):
        assert set(spec.decode(row)) == set(names)


def test_the_spec_needs_no_file(tmp_path: Path) -> None:
    spec = ICLEVR(root=tmp_path / "nothing", image_size=32).spec()
    assert spec.shape == (3, 32, 32)
    assert spec.labels.kind == "many_of_k" and spec.labels.most == 3
    assert spec.labels.names[:2] == ("gray cube", "red cube") and spec.labels.width == 24


def test_second_time_decodes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, calls = zipped(tmp_path / "data"), list[str]()
    decode_image = decode.decode_image

    def counted(data: bytes, where: str, size: int) -> np.ndarray:
        calls.append(where)
        return decode_image(data, where, size)

    monkeypatch.setattr(decode, "decode_image", counted)
    first = build(root, tmp_path)
    assert len(calls) == 12
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        second = build(root, tmp_path)
    assert len(calls) == 12
    assert torch.equal(first.images, second.images)
    build(root, tmp_path, image_size=32)
    assert len(calls) == 24


@pytest.mark.parametrize("form", [loose, zipped, one_zip])
def test_a_changed_image_is_decoded_again(tmp_path: Path, form: Callable[[Path], Path]) -> None:
    before = build(form(tmp_path / "data"), tmp_path).images[0].clone()
    name = FILES[0]
    kept = PNGS[name]
    PNGS[name] = png(255 - IMAGES[0])
    try:
        after = build(form(tmp_path / "data"), tmp_path).images[0]
    finally:
        PNGS[name] = kept
    assert torch.equal(after, 255 - before)


def test_changed_labels_need_no_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = loose(tmp_path / "data")
    build(root, tmp_path)
    monkeypatch.setattr(decode, "decode_image", None)
    changed = {name: ["red cube"] for name in LISTS}
    (root / "train.json").write_text(json.dumps(changed))
    labels = build(root, tmp_path).labels
    assert labels is not None and labels[:, 1].all() and labels.sum() == 12


def test_order_of_images_is_that_of_the_list(tmp_path: Path) -> None:
    root = loose(tmp_path / "data")
    build(root, tmp_path)
    (root / "train.json").write_text(json.dumps(dict(reversed(LISTS.items()))))
    assert np.array_equal(build(root, tmp_path).images.numpy(), IMAGES[::-1])


def test_other_sizes_and_modes_become_rgb_of_the_size(tmp_path: Path) -> None:
    root = loose(tmp_path / "data")
    flat = np.full((48, 100), 77, np.uint8)
    Image.fromarray(flat).save(root / "images" / FILES[0])
    Image.fromarray(flat).convert("RGBA").save(root / "images" / FILES[1])
    Image.fromarray(flat).convert("P").save(root / "images" / FILES[2])
    images = build(root, tmp_path, image_size=16).images
    assert images.shape == (12, 3, 16, 16)
    assert torch.equal(images[:3], torch.full((3, 3, 16, 16), 77, dtype=torch.uint8))
    block = IMAGES[3].reshape(3, 16, 4, 16, 4).mean((2, 4))
    assert np.abs(images[3].numpy() - block).max() < 25


def test_paths_are_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    assert ICLEVR(root=Path("data")).root == tmp_path / "data"
    assert ICLEVR(root=Path("~/data")).root == tmp_path / "me" / "data"
    assert ICLEVR.model_validate_json('{"root": "data"}').root == tmp_path / "data"
    with pytest.raises(ValidationError, match="the home folder in '~nobody-here/x' is not known"):
        ICLEVR(root=Path("~nobody-here/x"))


@pytest.mark.parametrize("size", [0, 8, 48, 512])
def test_sizes_are_powers_of_two(size: int) -> None:
    with pytest.raises(ValidationError):
        ICLEVR(image_size=size)  # type: ignore[arg-type]


def test_there_is_no_test_split(tmp_path: Path) -> None:
    message = "iclevr has no test images, only lists of conditions to draw; use the split 'train'"
    for dataset, end in (
        (ICLEVR(root=tmp_path), ""),
        (ICLEVR(seed=4), ", or draw other scenes with seed = 5"),
    ):
        with pytest.raises(UserError) as caught:
            dataset.build("test", context(tmp_path))
        assert str(caught.value) == message + end


def test_without_root_scenes_are_drawn_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = list[str]()
    dataset = ICLEVR(scenes=4, mirror=False)
    first = dataset.build("train", context(tmp_path, said))
    assert said == ["data: no root given; using 12 drawn i-CLEVR-like images of 4 scenes (seed 0)"]
    assert np.array_equal(first.images.numpy(), IMAGES)
    assert first.labels is not None and np.array_equal(first.labels.numpy(), SCENES.labels())
    monkeypatch.setattr("ganforge_datasets.clevr_scenes.render", None)
    assert torch.equal(dataset.build("train", context(tmp_path)).images, first.images)


def test_root_missing(tmp_path: Path) -> None:
    root = tmp_path / "nowhere"
    assert refused(root, tmp_path) == (
        f"{root} does not exist; set data.root to the folder or zip with i-CLEVR, "
        "or leave it out to draw such scenes"
    )


@pytest.mark.parametrize("name", ["train.json", "objects.json"])
def test_list_missing(tmp_path: Path, name: str) -> None:
    root = loose(tmp_path / "data")
    (root / name).unlink()
    assert refused(root, tmp_path) == (
        f"{root} holds no {name}; give a folder or zip with train.json, objects.json and images"
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
    assert refused(root, tmp_path) == f"{root / 'train.json'}: is not UTF-8 text (byte 3)"


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


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


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
    "text": (b"hello, world", " is not an image (PNG, JPEG, WEBP, BMP)"),
    "bomb": (claims(5000, 5000), " is 5000 x 5000; more than 16,000,000 pixels is refused"),
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
    assert message.endswith("; copy it again") or message.endswith(" is not an image (PNG, JPEG, WEBP, BMP)")


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


@pytest.mark.real_data
def test_the_real_data(real_data: Path, tmp_path: Path) -> None:
    root = real_data / "iclevr"
    samples = build(root, tmp_path)
    listed = json.loads((root / "train.json").read_text())
    assert samples.images.shape == (18_009, 3, 64, 64)
    assert samples.labels is not None
    assert samples.labels.sum(0).tolist() == [
        sum(name in names for names in listed.values()) for name in NAMES
    ]
    assert samples.labels.sum(1).bincount().tolist() == [0, 6003, 6003, 6003]
    with zipfile.ZipFile(root / "images.zip") as archive:
        for row, name in list(enumerate(listed))[::2000]:
            with Image.open(io.BytesIO(archive.read(name))) as image:
                assert image.tobytes() == samples.images[row].permute(1, 2, 0).contiguous().numpy().tobytes()
    assert torch.equal(build(root, tmp_path).images, samples.images)
