"""A black glyph on a transparent ground stays a glyph, in every form that transparency takes in a file."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from ganforge_datasets.decode import Form, decode_image
from support.contexts import opened
from support.encoded import GREY, GREY_ALPHA, RGB, RGBA, chunk, encoded, raw_png
from support.pictures import data, folder, png

GLYPH = np.zeros((8, 8), bool)
GLYPH[2:6, 2:6] = True
ALPHA = np.where(GLYPH, 255, 0).astype(np.uint8)
CLEAR = Image.fromarray(np.dstack([np.zeros((8, 8, 3), np.uint8), ALPHA]))
"""Black, and transparent black around it."""
INDEXED = Image.fromarray(GLYPH.astype(np.uint8))
INDEXED.putpalette([0] * 768)


def rows(pixel: Callable[[bool], bytes]) -> bytes:
    """The glyph as the rows of a PNG, each with its filter byte."""
    return b"".join(b"\0" + b"".join(pixel(bool(on)) for on in row) for row in GLYPH)


def packed(bits: int) -> bytes:
    """Gray values 0 for the glyph and 1 around it, of so many bits."""
    lines = []
    for row in GLYPH:
        number = sum((not on) << (bits * (7 - x)) for x, on in enumerate(row.tolist()))
        lines.append(b"\0" + number.to_bytes(bits, "big"))
    return b"".join(lines)


def key(*values: int) -> bytes:
    return chunk(b"tRNS", struct.pack(f">{len(values)}H", *values))


def with_alpha(image: Image.Image) -> Image.Image:
    image.putalpha(Image.fromarray(ALPHA))
    return image


def top_down(bmp: bytes) -> bytes:
    """A BMP of 8 x 8 pixels of 32 bits with its rows from the top, which a negative height says."""
    start = int.from_bytes(bmp[10:14], "little")
    lines = [bmp[start + 32 * row : start + 32 * (row + 1)] for row in reversed(range(8))]
    return bmp[:22] + struct.pack("<i", -8) + bmp[26:start] + b"".join(lines)


FORMS = {
    "rgba": encoded(CLEAR),
    "gray and alpha": encoded(CLEAR.convert("LA")),
    "palette, one index": encoded(INDEXED, transparency=0),
    "palette, alphas": encoded(INDEXED, transparency=bytes([0, 255])),
    "gray, a key": encoded(Image.fromarray(np.where(GLYPH, 0, 7).astype(np.uint8)), transparency=7),
    "rgb, a key": raw_png(8, 8, RGB, 8, rows(lambda on: b"\0\0\0" if on else b"\1\2\3"), key(1, 2, 3)),
    "1 bit, a key": raw_png(8, 8, GREY, 1, packed(1), key(1)),
    "2 bits, a key": raw_png(8, 8, GREY, 2, packed(2), key(1)),
    "4 bits, a key": raw_png(8, 8, GREY, 4, packed(4), key(1)),
    "16 bits and alpha": raw_png(8, 8, GREY_ALPHA, 16, rows(lambda on: b"\0\0" + b"\xff\xff" * on + b"\0\0" * (not on))),
    "16 bits rgba": raw_png(8, 8, RGBA, 16, rows(lambda on: bytes(6) + (b"\xff\xff" if on else b"\0\0"))),
    "16 bits, a key": raw_png(8, 8, GREY, 16, rows(lambda on: b"\0\0" if on else b"\0\x09"), key(9)),
    "16 bits rgb, a key": raw_png(8, 8, RGB, 16, rows(lambda on: bytes(6) if on else b"\x09\0" * 3), key(2304, 2304, 2304)),
    "gif": encoded(INDEXED, "GIF", transparency=0),
    "webp": encoded(CLEAR, "WEBP", lossless=True),
    "tiff": encoded(CLEAR, "TIFF"),
    "tiff, gray": encoded(CLEAR.convert("LA"), "TIFF"),
    "tiff, palette and alpha": encoded(with_alpha(INDEXED.convert("PA")), "TIFF"),
    "tiff, premultiplied": encoded(CLEAR, "TIFF", tiffinfo={338: 1}),
    "bmp, undeclared": encoded(CLEAR, "BMP"),
    "bmp, top down": top_down(encoded(CLEAR, "BMP")),
    "jpeg 2000": encoded(CLEAR, "JPEG2000"),
    "tga": encoded(CLEAR, "TGA"),
    "qoi": encoded(CLEAR, "QOI"),
    "animation": encoded(CLEAR, save_all=True, append_images=[CLEAR.transpose(Image.Transpose.ROTATE_90)]),
}  # fmt: skip
EXPECTED = np.where(GLYPH, 0, 255)
LUMA_RED = round(0.299 * 255)


@pytest.mark.parametrize("form", FORMS)
def test_a_glyph_on_nothing_is_composed_on_white(form: str) -> None:
    for channels in (1, 3):
        found = decode_image(FORMS[form], "x", Form(8, channels))
        assert found.transparent
        assert (found.pixels == EXPECTED).all() and found.pixels.shape == (channels, 8, 8)
    red = decode_image(FORMS[form], "x", Form(8, 3, background=(255, 0, 0))).pixels
    assert (red[0] == EXPECTED).all() and not red[1:].any()
    gray = decode_image(FORMS[form], "x", Form(8, 1, background=(255, 0, 0))).pixels
    assert (gray == np.where(GLYPH, 0, LUMA_RED)).all()


@pytest.mark.parametrize("form", FORMS)
def test_alpha_is_kept_where_it_is_a_channel(form: str) -> None:
    for channels in (2, 4):
        found = decode_image(FORMS[form], "x", Form(8, channels))
        assert not found.transparent
        assert (found.pixels[-1] == ALPHA).all() and not found.pixels[:-1, GLYPH].any()


@pytest.mark.parametrize("unused", [0, 255])
def test_the_fourth_byte_of_a_bmp_that_means_nothing(unused: int) -> None:
    """It is no alpha where it is the same everywhere."""
    pixels = Image.fromarray(np.full((8, 8, 4), (200, 100, 50, unused), np.uint8))
    found = decode_image(encoded(pixels, "BMP"), "x", Form(8, 3))
    assert (found.transparent, found.pixels[:, 0, 0].tolist()) == (False, [200, 100, 50])


def test_partly_transparent_pixels_are_mixed() -> None:
    """Porter and Duff (1984), "over": alpha * color + (1 - alpha) * ground."""
    half = encoded(Image.new("RGBA", (8, 8), (40, 80, 120, 51)))
    found = decode_image(half, "x", Form(8, background=(240, 200, 100)))
    assert found.pixels[:, 0, 0].tolist() == [
        0.2 * a + 0.8 * b for a, b in ((40, 240), (80, 200), (120, 100))
    ]


def test_the_ground_is_mixed_in_before_the_size_is_changed() -> None:
    """Otherwise the color under what is transparent, which nobody sees, would bleed into the edges."""
    wide = CLEAR.resize((64, 64), Image.Resampling.NEAREST)
    pixels = np.asarray(wide).copy()
    pixels[pixels[..., 3] == 0] = (0, 255, 0, 0)
    for image in (wide, Image.fromarray(pixels)):
        found = decode_image(encoded(image), "x", Form(8)).pixels
        assert (found == found[:1]).all(), "it is gray"
        assert found[0, 4, 4] == 0 and found[0, 0, 0] == 255


def test_an_opaque_alpha_changes_nothing() -> None:
    found = decode_image(encoded(Image.new("RGBA", (8, 8), (10, 20, 30, 255))), "x", Form(8))
    assert not found.transparent and found.pixels[:, 0, 0].tolist() == [10, 20, 30]


def test_it_is_said_once_with_the_count(tmp_path: Path) -> None:
    files = {"a.png": FORMS["rgba"], "b.gif": FORMS["gif"], "c.png": png(10)}
    root = folder(tmp_path / "data", files)
    for ground, shown in (
        ({}, "#ffffff"),
        ({"background": "gray"}, "#808080"),
        ({"background": "#1234Ff"}, "#1234ff"),
    ):
        for _ in range(2):  # decoded, and from the cache
            said = list[str]()
            opened(data(root, **ground), tmp_path / "cache", said=said)
            assert said[1:] == [f"data: 2 images have transparency, composed on {shown} (data.background)"]
    with pytest.raises(ValidationError, match='expected "white", "black", "gray" or "#rrggbb", got "#fff"'):
        data(root, background="#fff")
