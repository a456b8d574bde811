"""`celeba`, on small pictures in its folders."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganforge.api import Split
from ganforge_datasets.celeba import CelebA
from ganforge_datasets.celeba_files import ATTRIBUTES
from support.contexts import opened, refused

PARTS = [0, 0, 2, 0, 1, 2, 0, 0]
NAMES = [f"{number:06d}.jpg" for number in range(1, len(PARTS) + 1)]
SIGNS = np.random.default_rng(0).choice([-1, 1], (len(PARTS), 40))


def picture(number: int) -> bytes:
    """178 x 218 pixels: black bars of 20 above and below, and between them a square as bright as its number."""
    pixels = np.zeros((218, 178, 3), np.uint8)
    pixels[20:198] = 20 + 25 * number
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


PICTURES = dict(zip(NAMES, map(picture, range(len(NAMES))), strict=True))


def lists(root: Path) -> None:
    root.mkdir(parents=True, exist_ok=True)
    rows = [
        f"{name} {' '.join(f'{sign:2d}' for sign in row)}" for name, row in zip(NAMES, SIGNS, strict=True)
    ]
    header = " ".join(ATTRIBUTES) + " "
    (root / "list_attr_celeba.txt").write_text("\n".join([str(len(NAMES)), header, *rows]) + "\n")
    parts = [f"{name} {part}\n" for name, part in zip(NAMES, PARTS, strict=True)]
    (root / "list_eval_partition.txt").write_text("".join(parts))


def folder(root: Path) -> Path:
    lists(root)
    (root / "img_align_celeba").mkdir()
    for name, data in PICTURES.items():
        (root / "img_align_celeba" / name).write_bytes(data)
    return root


def zipped(root: Path) -> Path:
    lists(root / "Anno")
    (root / "Img").mkdir()
    with zipfile.ZipFile(root / "Img" / "img_align_celeba.zip", "w") as archive:
        for name, data in PICTURES.items():
            archive.writestr(f"img_align_celeba/{name}", data)
    return root


def below(root: Path) -> Path:
    folder(root / "celeba")
    return root


def beside_the_uncropped(root: Path) -> Path:
    folder(root)
    (root / "celeba_in_the_wild").mkdir()
    for name in NAMES:
        (root / "celeba_in_the_wild" / name).write_bytes(b"another picture of that name")
    return root


@pytest.mark.parametrize("form", [folder, zipped, below, beside_the_uncropped])
@pytest.mark.parametrize("split", ["train", "test"])
def test_every_form_gives_the_images_of_the_partition(
    tmp_path: Path, form: Callable[[Path], Path], split: Split
) -> None:
    samples = opened(CelebA(root=form(tmp_path / "data"), image_size=32, mirror=True), tmp_path, split)
    rows = [row for row, part in enumerate(PARTS) if part == {"train": 0, "test": 2}[split]]
    assert samples.images.shape == (len(rows), 3, 32, 32) and samples.images.dtype == torch.uint8
    # The bars above and below are cut off: what is left is of one brightness, but for JPEG's ringing.
    expected = torch.tensor([20.0 + 25 * row for row in rows])
    assert (samples.images.float() - expected[:, None, None, None]).abs()[:, :, 1:-1].max() <= 3
    assert samples.labels is not None and samples.labels.dtype == torch.uint8
    assert np.array_equal(samples.labels.numpy(), SIGNS[rows] > 0)
    assert samples.mirror


def test_a_smaller_crop_comes_from_the_middle(tmp_path: Path) -> None:
    lists(tmp_path)
    (tmp_path / "img_align_celeba").mkdir()
    pixels = np.zeros((218, 178), np.uint8)
    pixels[59:159, 39:139] = 200
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert("RGB").save(buffer, "PNG")
    for name in NAMES:
        (tmp_path / "img_align_celeba" / name).write_bytes(buffer.getvalue())
    data = CelebA(root=tmp_path, crop=100, image_size=16, labelled=False)
    samples = opened(data, tmp_path / "cache")
    assert samples.images.eq(200).all() and samples.labels is None


def test_the_spec_needs_no_file(tmp_path: Path) -> None:
    spec = CelebA(root=tmp_path / "nothing").spec()
    assert spec.shape == (3, 64, 64) and spec.labels.kind == "many_of_k"
    assert spec.labels.width == 40 and spec.labels.names[20] == "Male" and spec.labels.names[-1] == "Young"
    assert spec.labels.most is None


def test_second_time_decodes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = CelebA(root=folder(tmp_path / "data"))
    first = opened(data, tmp_path / "cache")
    monkeypatch.setattr("ganforge_datasets.decoded.decode_images", None)
    assert torch.equal(opened(data, tmp_path / "cache").images, first.images)


@pytest.mark.parametrize("name", ["list_attr_celeba.txt", "list_eval_partition.txt"])
def test_a_list_is_missing(tmp_path: Path, name: str) -> None:
    (folder(tmp_path) / name).unlink()
    assert refused(CelebA(root=tmp_path), tmp_path) == (
        f"{tmp_path} holds no {name}; data.root should be the folder with list_attr_celeba.txt, "
        "list_eval_partition.txt and img_align_celeba (a folder or a zip)"
    )


def test_images_are_missing(tmp_path: Path) -> None:
    lists(tmp_path)
    assert refused(CelebA(root=tmp_path), tmp_path) == (
        f"{tmp_path} holds neither a folder img_align_celeba nor img_align_celeba.zip; put one of them there"
    )
    root = folder(tmp_path / "data")
    (root / "img_align_celeba" / "000002.jpg").unlink()
    (root / "img_align_celeba" / "000003.jpg").unlink()
    assert refused(CelebA(root=root), tmp_path) == (
        f"list_eval_partition.txt lists image '000002.jpg', which {root / 'img_align_celeba'} does not hold"
    )


def swap(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new, 1)


BROKEN = {
    "renamed": (
        "list_attr_celeba.txt",
        lambda text: swap(text, "Bald", "Bold"),
        ":2: 'Bold' is not one of the 40 attributes of CelebA; did you mean 'Bald'?",
    ),
    "order": (
        "list_attr_celeba.txt",
        lambda text: swap(text, "Bald Bangs", "Bangs Bald"),
        ":2: should name the 40 attributes of CelebA, in their order; copy it again",
    ),
    "only a count": (
        "list_attr_celeba.txt",
        lambda text: "8\n",
        ":2: should name the 40 attributes of CelebA, in their order; copy it again",
    ),
    "value": (
        "list_attr_celeba.txt",
        lambda text: swap(text, "000002.jpg", "000002.jpg 0"),
        ":4: should be an image and 40 times 1 or -1",
    ),
    "zero": (
        "list_attr_celeba.txt",
        lambda text: text.rstrip()[:-2] + " 0\n",
        ":10: should be an image and 40 times 1 or -1",
    ),
    "unlisted": (
        "list_attr_celeba.txt",
        lambda text: "\n".join(text.splitlines()[:-1]),
        " does not list image '000008.jpg', which list_eval_partition.txt does",
    ),
    "blank line": (
        "list_attr_celeba.txt",
        lambda text: swap(text, "000003", "\n000003"),
        ":5: should be an image and 40 times 1 or -1",
    ),
    "part": (
        "list_eval_partition.txt",
        lambda text: swap(text, "000003.jpg 2", "000003.jpg 3"),
        ":3: should be an image and 0, 1 or 2, as in '000001.jpg 0'",
    ),
    "none": (
        "list_eval_partition.txt",
        lambda text: "000005.jpg 1\n",
        " marks no image with 0, the split 'train'",
    ),
    "binary": ("list_eval_partition.txt", lambda text: "\xff", " is not plain text; copy it again"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_lists(tmp_path: Path, case: str) -> None:
    name, change, message = BROKEN[case]
    path = folder(tmp_path) / name
    path.write_text(change(path.read_text()), "latin-1")
    assert refused(CelebA(root=tmp_path), tmp_path) == f"{path}{message}"


def test_pictures_too_small_for_the_crop(tmp_path: Path) -> None:
    path = folder(tmp_path) / "img_align_celeba" / NAMES[0]
    Image.new("RGB", (100, 120)).save(path)
    assert refused(CelebA(root=tmp_path), tmp_path) == (
        f"{path} is 100 x 120, too small for its middle 178 x 178"
    )
