"""What `image_folder` finds in a folder before there is a run file for it."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganforge.api import UserError
from ganforge_datasets.folder_survey import survey
from support.encoded import encoded


def picture(width: int, height: int, mode: str = "RGB") -> Image.Image:
    return Image.new("RGB", (width, height), (200, 30, 90)).convert(mode)


def turned(width: int, height: int, orientation: int) -> bytes:
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    picture(width, height).save(file, "JPEG", exif=exif)
    return file.getvalue()


def put(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def test_sizes_are_those_of_the_upright_images_and_odd_modes_are_counted(tmp_path: Path) -> None:
    clear = picture(50, 60, "RGBA")
    clear.putalpha(0)
    root = put(tmp_path / "photos", {
        "a.jpg": turned(90, 40, 6), "b.jpg": encoded(picture(30, 80, "CMYK"), "JPEG"),
        "c.png": encoded(clear), "d.png": encoded(picture(64, 64)), "e.jpg": turned(70, 100, 1),
        "notes.txt": b"no picture",
    })  # fmt: skip
    found = survey(root, "auto", ())
    assert (found.images, found.short_sides) == (5, (30, 50, 70))
    assert found.facts == (
        "5 images, 30 x 80 to 70 x 100; skipped 1 not images (notes.txt)",
        "1 in CMYK: converted to RGB",
        "1 with an EXIF orientation: turned upright",
        "1 with transparency: composed on white (data.background)",
        "labels: none",
    )
    assert found.keys == {"root": str(root)}
    assert found.label_counts == {}


def test_gray_images_and_arrays_keep_their_channels(tmp_path: Path) -> None:
    gray = put(tmp_path / "gray", {f"{n}.png": encoded(picture(20, 20, mode)) for n, mode in enumerate("L1")})
    assert survey(gray, "auto", ()).keys["channels"] == 1
    (tmp_path / "arrays").mkdir()
    np.save(tmp_path / "arrays" / "a.npy", np.zeros((5, 24, 32), np.uint8))
    found = survey(tmp_path / "arrays", "auto", ())
    assert (found.keys["channels"], found.short_sides) == (5, (24, 24, 24))


def test_what_cannot_be_read_is_left_out_and_named(tmp_path: Path) -> None:
    root = put(tmp_path / "data", {"a.png": encoded(picture(20, 20)), "b.png": b"\x89PNG broken"})
    found = survey(root, "auto", ())
    assert (found.images, found.keys["skip_damaged"]) == (1, True)
    assert "1 cannot be read and are left out (b.png)" in found.facts
    (root / "a.png").unlink()
    with pytest.raises(UserError, match=r"none of the 1 images in .* can be read \(b.png\)"):
        survey(root, "auto", ())


def test_sub_folders_are_classes_where_they_hold_enough(tmp_path: Path) -> None:
    many = {f"{name}/{n}.png": encoded(picture(20, 20)) for name in ("dog", "cat") for n in range(10)}
    found = survey(put(tmp_path / "many", {**many, "dog/x.png": encoded(picture(20, 20))}), "auto", ())
    assert dict(found.keys) == {
        "root": str(tmp_path / "many"), "labels": "folder", "names": ["cat", "dog"],
    }  # fmt: skip
    assert found.label_counts == {"cat": 10, "dog": 11}
    few = put(tmp_path / "few", {f"day {n}/a.png": encoded(picture(20, 20)) for n in range(6)})
    assert survey(few, "auto", ()).facts[-1] == (
        "labels: none (the 6 sub-folders hold 6 images, too few each to be classes; --labels folder uses them)"
    )
    assert len(survey(few, "folder", ()).label_counts) == 6
    assert survey(tmp_path / "many", "none", ()).facts[-1] == "labels: none, as asked"


@pytest.mark.parametrize(
    ("name", "text", "kind", "names"),
    [
        ("labels.csv", "file,label\na.png,cat\nb.png,dog\n", None, {"cat": 1, "dog": 1}),
        ("labels.csv", "file,red,big\na.png,1,1\nb.png,0,1\n", "many_of_k", {"red": 1, "big": 2}),
        ("labels.json", '{"a.png": "cat", "b.png": "dog"}', None, {"cat": 1, "dog": 1}),
        ("labels.json", '{"a.png": ["x", "y"], "b.png": []}', "many_of_k", {"x": 1, "y": 1}),
    ],
)
def test_a_label_file_decides_the_kind(
    tmp_path: Path, name: str, text: str, kind: str | None, names: dict[str, int]
) -> None:
    images = {f"{stem}.png": encoded(picture(20, 20)) for stem in "ab"}
    found = survey(put(tmp_path / "data", {**images, name: text.encode()}), "auto", ())
    assert (found.keys["labels"], found.keys.get("label_kind")) == ("file", kind)
    assert found.label_counts == names


def test_a_label_file_that_cannot_be_used_is_reported_and_no_obstacle(tmp_path: Path) -> None:
    root = put(tmp_path / "data", {"a.png": encoded(picture(20, 20)), "labels.json": b'{"b.png": "cat"}'})
    found = survey(root, "auto", ())
    assert "labels" not in found.keys
    assert found.facts[-1].startswith("labels: none (the label file is not used: ")
    assert "lists image 'b.png'" in found.facts[-1]
    with pytest.raises(UserError, match=r"lists image 'b\.png'"):
        survey(root, "file", ())
