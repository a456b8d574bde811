"""i-CLEVR: every form gives the same samples, which are decoded once."""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from ganforge.api import UserError
from ganforge_datasets import decode_many
from ganforge_datasets.clevr_layout import NAMES
from ganforge_datasets.decode import Decoded, Form
from ganforge_datasets.iclevr import ICLEVR
from support.contexts import context
from support.iclevr_files import FILES, IMAGES, LISTS, PNGS, SCENES, build, loose, one_zip, png, zipped

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
    decode_image = decode_many.decode_image

    def counted(data: bytes, where: str, form: Form) -> Decoded:
        calls.append(where)
        return decode_image(data, where, form)

    monkeypatch.setattr(decode_many, "decode_image", counted)
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
    monkeypatch.setattr(decode_many, "decode_image", None)
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
