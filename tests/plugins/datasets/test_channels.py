"""Sizes that are not square, other numbers of channels, 16 bits, and arrays: by the rules that are stated."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ganforge.api import UserError
from ganforge_datasets.decode import Form, decode_image
from support.contexts import opened, refused
from support.encoded import GREY, RGB, encoded, raw_png
from support.pictures import data, folder, png


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def npz(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def pages(*grays: int) -> bytes:
    images = [Image.new("L", (8, 8), gray) for gray in grays]
    return encoded(images[0], "TIFF", save_all=True, append_images=images[1:])


def test_height_and_width(tmp_path: Path) -> None:
    stripes = np.zeros((20, 60), np.uint8)
    stripes[:10] = 200
    root = folder(tmp_path / "data", {"a.png": png(stripes)})
    dataset = data(root, image_size=(10, 30), channels=1, random_crop=9)
    image = opened(dataset, tmp_path / "cache").images[0, 0]
    assert image.shape == (10, 30) and image[:4].ge(190).all() and image[6:].le(10).all()
    tall = opened(data(root, image_size=(30, 10), channels=1, fit="crop"), tmp_path / "cache").images[0, 0]
    assert tall.shape == (30, 10) and tall[:13].ge(190).all() and tall[17:].le(10).all()


COUNT = np.arange(6 * 8 * 10, dtype=np.uint8).reshape(6, 8, 10)


@pytest.mark.parametrize(
    "content", [npy(COUNT), npy(COUNT.transpose(1, 2, 0)), npy(np.asfortranarray(COUNT)), npz(image=COUNT)]
)
def test_arrays_with_as_many_channels(tmp_path: Path, content: bytes) -> None:
    suffix = "npz" if content[:2] == b"PK" else "npy"
    root = folder(tmp_path / "data", {f"a.{suffix}": content})
    images = opened(data(root, image_size=(8, 10), channels=6), tmp_path / "cache").images
    assert (images[0].numpy() == COUNT).all()


@pytest.mark.parametrize(
    ("array", "level"),
    [
        (np.full((8, 8), 7, np.uint8), 7),
        (np.full((8, 8), True), 255),
        (np.full((8, 8), 0.5, np.float32), 128),
        (np.full((8, 8), 1.0, np.float64), 255),
        (np.full((8, 8), 0x8000, np.uint16), 128),
        (np.full((8, 8), 65535, np.int64), 255),
        (np.full((3, 8, 8), 9, np.uint8), 9),
        (np.full((8, 8, 1), 9, np.uint8), 9),
    ],
)
def test_numbers_of_arrays(array: np.ndarray, level: int) -> None:
    assert (decode_image(npy(array), "a.npy", Form(8)).pixels == level).all()


BAD_ARRAYS: dict[str, tuple[bytes, str]] = {
    "range": (npy(np.full((8, 8), 255.0)), "a.npy has values from 255 to 255; expected floats from 0 to 1; scale them, or save uint8 or uint16"),
    "nan": (npy(np.full((8, 8), np.nan)), "a.npy has values from nan to nan; expected floats from 0 to 1; scale them, or save uint8 or uint16"),
    "negative": (npy(np.full((8, 8), -1)), "a.npy has values from -1 to -1; expected 0 to 65535 (16 bits); convert it"),
    "complex": (npy(np.full((8, 8), 1j)), "a.npy has values of type complex128; expected uint8, uint16, bool or float from 0 to 1"),
    "objects": (npy(np.array([[None]])), "a.npy holds Python objects, which are not read; save numbers"),
    "many": (npy(np.zeros((5, 3, 8, 8), np.uint8)), "a.npy holds an array of shape (5, 3, 8, 8); expected one image, [H, W], [H, W, C] or [C, H, W]"),
    "channels": (npy(np.zeros((5, 8, 8), np.uint8)), "a.npy has 5 channels; data.channels = 3 needs as many"),
    "cut": (npy(np.zeros((8, 8), np.uint8))[:-1], "a.npy is damaged: its size does not fit its header; copy it again"),
    "two": (npz(a=np.zeros((8, 8)), b=np.zeros((8, 8))), "a.npy holds 2 arrays (a, b); expected one image per file"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_ARRAYS)
def test_arrays_that_are_no_images(case: str) -> None:
    content, message = BAD_ARRAYS[case]
    with pytest.raises(UserError) as caught:
        decode_image(content, "a.npy", Form(8))
    assert str(caught.value) == message


def test_an_array_whose_header_lies_takes_no_memory() -> None:
    honest = npy(np.zeros((10, 10), np.uint8))
    liar = honest.replace(b"(10, 10)", b"(9999, )".ljust(8))
    with pytest.raises(UserError, match="its size does not fit its header"):
        decode_image(liar, "a.npy", Form(8))


def test_pages_are_channels_where_they_are_as_many() -> None:
    five = pages(10, 20, 30, 40, 50)
    found = decode_image(five, "x", Form(8, 5))
    assert found.pixels[:, 0, 0].tolist() == [10, 20, 30, 40, 50] and not found.first_of_many
    first = decode_image(five, "x", Form(8, 1))
    assert first.pixels[:, 0, 0].tolist() == [10] and first.first_of_many
    with pytest.raises(UserError) as caught:
        decode_image(five, "x", Form(8, 7))
    assert str(caught.value) == "x has 1 channels in each of 5 pages; data.channels = 7 needs as many"
    with pytest.raises(UserError, match=r"x has 3 channels; data.channels = 6 needs as many"):
        decode_image(png(np.zeros((8, 8, 3), np.uint8), "RGB"), "x", Form(8, 6))


def test_other_formats(tmp_path: Path) -> None:
    image = Image.new("RGB", (8, 8), (10, 200, 30))
    kinds: dict[str, Any] = {"GIF": {}, "TIFF": {}, "PPM": {}, "TGA": {}, "QOI": {}, "DIB": {}, "BMP": {}}
    for form, options in kinds.items():
        found = decode_image(encoded(image, form, **options), "x", Form(8)).pixels
        assert found[:, 0, 0].tolist() == [10, 200, 30], form
    assert decode_image(encoded(image.convert("1"), "PPM"), "x", Form(8, 1)).pixels[0, 0, 0] in (0, 255)
    lossy = decode_image(encoded(image, "JPEG2000"), "x", Form(8)).pixels[:, 4, 4]
    assert np.abs(lossy - np.array([10.0, 200, 30])).max() <= 4


@pytest.mark.parametrize(
    ("content", "highest"),
    [
        (raw_png(2, 1, GREY, 16, b"\0\x10\0\xff\xff"), 65535),
        (encoded(Image.fromarray(np.array([[0x1000, 65535]], np.uint16)), "TIFF"), 65535),
        (b"P5 2 1 65535\n\x10\0\xff\xff", 65535),
    ],
)
def test_16_bits_are_scaled_to_8(content: bytes, highest: int) -> None:
    found = decode_image(content, "x", Form((1, 2), 1))
    assert found.pixels[0, 0].tolist() == [round(0x1000 * 255 / 65535), 255] and found.highest == highest
    darker = decode_image(content, "x", Form((1, 2), 1, white_level=0x2000))
    assert darker.pixels[0, 0].tolist() == [128, 255], "what is above the level is white"


def test_of_16_bits_of_color_the_upper_eight_are_read() -> None:
    content = raw_png(1, 1, RGB, 16, b"\0\x0a\xff\xc8\0\x64\x80")
    assert decode_image(content, "x", Form(1)).pixels[:, 0, 0].tolist() == [10, 200, 100]
    with pytest.raises(UserError) as caught:
        decode_image(content, "x", Form(1, white_level=4095))
    assert str(caught.value) == (
        "x has 16 bits in each of 3 channels, of which the upper eight are read: data.white_level = 4095 cannot be "
        "applied; convert it to 8 bits or to .npy"
    )


def test_what_is_done_to_16_bits_is_said(tmp_path: Path) -> None:
    root = folder(tmp_path / "data", {"a.png": raw_png(1, 1, GREY, 16, b"\0\x0f\xff"), "b.png": png(3)})
    said = list[str]()
    opened(data(root), tmp_path / "cache", said=said)
    assert said[1:] == [
        "data: 1 images have 16 bits a channel, scaled by 255 / 65,535 to 8 bits (data.white_level); the largest "
        "value is 4,095: they will be dark; data.white_level = 4095 makes that value white"
    ]
    said.clear()
    images = opened(data(root, white_level=4095), tmp_path / "cache", said=said).images
    assert images[0].eq(255).all()
    assert said[1:] == [
        "data: 1 images have 16 bits a channel, scaled by 255 / 4,095 to 8 bits (data.white_level); the largest "
        "value is 4,095"
    ]
    deep = folder(
        tmp_path / "deep", {"a.tif": encoded(Image.fromarray(np.full((4, 4), 70000, np.int32)), "TIFF")}
    )
    assert refused(data(deep), tmp_path / "cache").startswith(
        f"{deep}/a.tif has more than 16 bits a channel; convert it to 8 or 16 bits"
    )


def test_of_frames_the_first_is_taken_and_said(tmp_path: Path) -> None:
    frames = [Image.new("L", (8, 8), gray) for gray in (10, 250)]
    gif = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    root = folder(
        tmp_path / "data", {"a.gif": gif, "b.gif": encoded(frames[0], "GIF"), "c.tif": pages(10, 20)}
    )
    said = list[str]()
    assert opened(data(root), tmp_path / "cache", said=said).images.eq(10).all()
    assert said[1:] == ["data: 2 images have several frames or pages, of which the first is taken"]
