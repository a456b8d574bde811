"""`image_folder`: its forms of images, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganforge.api import UserError
from ganforge_datasets.formats import SUFFIXES, formats
from support.contexts import opened, refused
from support.pictures import FILES, bad, content, data, folder, png, zipped


@pytest.mark.parametrize("form", [folder, zipped])
def test_without_labels_all_images_count(tmp_path: Path, form: type) -> None:
    others = {"notes.txt": "x", ".hidden/e.png": b"x", "cat/._a.png": b"x", "__MACOSX/cat/a.png": b"x"}
    root = form(tmp_path / "data", FILES | others)
    assert list(content(data(root, mirror=True), tmp_path)) == [10, 20, 30, 40, 50]
    assert opened(data(root, mirror=True), tmp_path).mirror
    assert opened(data(root, random_crop=3), tmp_path).random_crop == 3


def test_the_spec_needs_no_file(tmp_path: Path) -> None:
    root = tmp_path / "nothing"
    assert data(root, channels=1, image_size=20).spec().shape == (1, 20, 20)
    spec = data(root, labels="folder", names=("a", "b")).spec()
    assert spec.shape == (3, 8, 8) and spec.labels.names == ("a", "b")


def test_nothing_to_open(tmp_path: Path) -> None:
    root = tmp_path / "nowhere"
    message = f"{root} does not exist; set data.root to a folder or zip with images"
    assert refused(data(root), tmp_path) == message
    with pytest.raises(UserError) as caught:
        data(root, labels="folder").spec()
    assert str(caught.value) == message
    assert bad(tmp_path, {"notes.txt": "x", "cat/.a.png": b""}) == (
        f"{tmp_path / 'data'} holds no images ({', '.join(SUFFIXES)}); "
        "skipped 1 hidden (cat/.a.png), 1 not images (notes.txt)"
    )


def test_there_is_no_test_split(tmp_path: Path) -> None:
    root = folder(tmp_path, FILES)
    assert (
        refused(data(root), tmp_path, "test")
        == "data 'image_folder' has no test split; use the split 'train'"
    )


SKIP = "\nto leave damaged images out:  data.skip_damaged = true"


def test_broken_images_are_named(tmp_path: Path) -> None:
    root = tmp_path / "data"
    assert bad(tmp_path, FILES | {"dog/e.png": b""}) == (
        f"{root}/dog/e.png is empty (0 bytes); copy it again{SKIP}"
    )
    archive = zipped(tmp_path / "data", FILES | {"dog/e.jpg": b"hello"})
    assert refused(data(archive), tmp_path) == (
        f"{archive}/dog/e.jpg is not an image (of {', '.join(formats())}){SKIP}"
    )
    archive = zipped(tmp_path / "outside", FILES | {"../e.png": png(1)})
    assert (
        refused(data(archive), tmp_path)
        == f"{archive} holds '../e.png', which points outside of the zip; refused"
    )


WIDE = np.zeros((20, 60), np.uint8)
WIDE[:, 20:40] = 240


@pytest.mark.parametrize("turned", [False, True])
def test_fits(tmp_path: Path, turned: bool) -> None:
    root = folder(tmp_path / "data", {"a.png": png(WIDE.T if turned else WIDE)})

    def image(fit: str) -> torch.Tensor:
        drawn = opened(data(root, fit=fit, channels=1, image_size=20), tmp_path).images[0, 0]
        return drawn.T if turned else drawn

    # Twenty of sixty columns are bright, in the middle: all of the crop, a third of the others.
    assert image("crop").eq(240).all()
    padded, resized = image("pad"), image("resize")
    assert padded[:6].eq(0).all() and padded[-6:].eq(0).all()
    assert padded[8:12, 9:11].eq(240).all() and padded[:, :6].max() < 10
    assert resized[:, 9:11].eq(240).all() and resized[:, :6].max() < 10 and resized[:, -6:].max() < 10


def test_colours(tmp_path: Path) -> None:
    red = np.zeros((8, 8, 3), np.uint8)
    red[..., 0] = 255
    root = folder(
        tmp_path / "data", {"a.png": png(red, "RGB"), "b.png": png(red, "P"), "c.png": png(red, "RGBA")}
    )
    color = opened(data(root), tmp_path).images
    assert color[:, 0].eq(255).all() and color[:, 1:].eq(0).all()
    # ITU-R 601 luma of red.
    assert opened(data(root, channels=1), tmp_path).images.unique().tolist() == [round(0.299 * 255)]


def test_photographs_stand_upright(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    half = Image.fromarray(np.repeat(np.array([[0, 255]], np.uint8), 8, 0).repeat(4, 1))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned clockwise by a quarter
    half.save(tmp_path / "data" / "a.png", exif=exif)
    image = opened(data(tmp_path / "data", channels=1), tmp_path).images[0, 0]
    assert image[:4].eq(0).all() and image[4:].eq(255).all()


def test_another_form_is_another_entry_of_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = folder(tmp_path / "data", FILES)
    for fields in ({}, {"channels": 1}, {"image_size": 9}, {"fit": "pad"}):
        opened(data(root, **fields), tmp_path / "cache")
    assert len(list((tmp_path / "cache").glob("*.npy"))) == 4
    monkeypatch.setattr("ganforge_datasets.decoded.decode_images", None)
    opened(data(root, labels="folder", names=("cat", "dog")), tmp_path / "cache")
