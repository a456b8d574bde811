"""Image files of every kind, whole and damaged: exact pixels, or one message.

Caps: an image has at most 64,000,000 pixels, a JPEG 160,000,000, and 32,768 a side; its file at most 64 MiB.
Decoding one of up to 16,000,000 pixels takes at most 256 MiB, and a larger one, of which only one is decoded
at a time, 1 GiB (`ganforge_datasets.decode`, `ganforge_datasets.stores`).
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ganforge_datasets.decode import Form, decode_image
from ganforge_datasets.formats import formats
from support.encoded import GREY, RGB, RGBA, blank_png, encoded, raw_png
from support.fuzz import MIB, answer, damaged, fuzz, peak_growth
from support.whole_images import GRADIENT, RED, WHOLE

FORMS = st.builds(
    Form,
    st.sampled_from((4, 6, (9, 5))),
    st.sampled_from((1, 2, 3, 4, 6)),
    st.sampled_from(("crop", "pad", "resize")),
    st.sampled_from((None, 4)),
)


def pixels(data: bytes, channels: int = 3) -> list[object]:
    """[H, W, C] of an image that keeps its size."""
    size = Image.open(io.BytesIO(data)).width
    found = decode_image(data, "x", Form(size, channels)).pixels
    return found.transpose(1, 2, 0).tolist()  # type: ignore[no-any-return]


def complaint(data: bytes, form: Form = Form(4)) -> str:  # noqa: B008
    found = answer(lambda: decode_image(data, "x", form))
    assert isinstance(found, str)
    return found


@given(st.sampled_from(list(WHOLE.values())).flatmap(damaged), FORMS)
@fuzz(400)
def test_damaged_images(data: bytes, form: Form) -> None:
    found = answer(lambda: decode_image(data, "x", form).pixels)
    if not isinstance(found, str):
        assert found.shape == form.shape and found.dtype == np.uint8


@given(st.binary(max_size=64))
@fuzz(100)
def test_bytes_that_are_no_image(data: bytes) -> None:
    complaint(data)


@pytest.mark.parametrize("name", [name for name in WHOLE if name not in ("16-bit png", "float tiff")])
def test_an_image_cut_short_is_damaged(name: str) -> None:
    for length in (1, 9, len(WHOLE[name]) // 2):
        assert complaint(WHOLE[name][:length]).startswith(("x is damaged: ", "x is not an image"))
    assert complaint(b"") == "x is empty (0 bytes); copy it again"


def test_colours_come_out_exactly() -> None:
    gradient = np.asarray(GRADIENT).tolist()
    for name in ("png", "webp", "bmp", "gradient tiff"):
        assert pixels(WHOLE[name]) == gradient
    palette = np.asarray(GRADIENT.quantize(8).convert("RGB")).tolist()
    for name, data in {"png": encoded(GRADIENT.quantize(8)), "gif": WHOLE["gif"]}.items():
        assert name == "gif" or pixels(data) == palette
    two = raw_png(2, 2, GREY, 1, b"\0\x80\0\x40")
    assert pixels(two) == [[[255] * 3, [0] * 3], [[0] * 3, [255] * 3]]
    # ITU-R 601-2: 0.299 R + 0.587 G + 0.114 B.
    (((grey,),),) = pixels(raw_png(1, 1, RGB, 8, b"\0\x0a\xc8\x64"), channels=1)  # type: ignore[misc]
    assert grey == round(0.299 * 10 + 0.587 * 200 + 0.114 * 100)


def test_cmyk_becomes_rgb() -> None:
    ink = (40, 120, 200, 30)
    data = encoded(Image.new("CMYK", (8, 8), ink), "JPEG", quality=100)
    expected = [(255 - color) * (255 - ink[3]) / 255 for color in ink[:3]]
    assert np.abs(np.array(pixels(data)) - expected).max() <= 3


def test_formats_that_are_not_read() -> None:
    for form in ("PCX", "SGI", "ICO"):
        assert complaint(encoded(GRADIENT, form)) == f"x is not an image (of {', '.join(formats())})"
    assert complaint(WHOLE["float tiff"]) == (
        "x has floating-point channels; convert it to 8 or 16 bits, or to .npy"
    )


def test_of_an_animation_the_first_frame_is_taken() -> None:
    for name in ("apng", "animated webp"):
        assert Image.open(io.BytesIO(WHOLE[name])).n_frames == 2  # type: ignore[attr-defined]
        assert pixels(WHOLE[name]) == np.asarray(RED).tolist()


def test_an_image_is_turned_as_its_exif_says() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by 90 degrees
    data = encoded(GRADIENT, "PNG", exif=exif)
    assert pixels(data) == np.rot90(np.asarray(GRADIENT), -1).tolist()


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [
        (8001, 8000, "x is 8001 x 8000; more than 64,000,000 pixels is refused"),
        (32_769, 1, "x is 32769 x 1; a side of more than 32,768 is refused"),
        (1, 32_769, "x is 1 x 32769; a side of more than 32,768 is refused"),
        (2**31 - 1, 2**31 - 1, "x has more than 160,000,000 pixels, which is refused"),
    ],
)
def test_a_large_image_is_refused_by_its_header(width: int, height: int, expected: str) -> None:
    assert complaint(raw_png(width, height, RGBA, 8, b"\0")).startswith(expected)


BOMBS = """
from pathlib import Path
from ganforge.api import UserError
from ganforge_datasets.decode import Form, decode_image
from ganforge_datasets.stores import FolderStore, ZipStore
place = Path(sys.argv[1])
files = FolderStore(place)
def image(name):
    return decode_image(files.read(name), name, Form(1024, 3, "resize"))
"""


def test_memory_of_bombs(tmp_path: Path) -> None:
    for name, size, color in (
        ("most.png", (4000, 4000), RGBA),
        ("row.png", (32_768, 488), RGBA),
        ("large.png", (8000, 8000), RGBA),
        ("more.png", (10_000, 10_000), GREY),
        ("huge.png", (14_000, 14_000), GREY),
    ):
        (tmp_path / name).write_bytes(blank_png(*size, color))
        assert (tmp_path / name).stat().st_size < MIB
    with (tmp_path / "long.png").open("wb") as file:
        file.truncate(65 * MIB)
    pack(tmp_path / "bomb.zip", 80, zipfile.ZIP_DEFLATED)
    # Headers that lie about the size must not let more through than they say.
    pack(tmp_path / "liar.zip", 80, zipfile.ZIP_DEFLATED, says=1000)
    pack(tmp_path / "bzip2.zip", 80, zipfile.ZIP_BZIP2, says=1000)
    acts = [f"ZipStore(place / '{name}.zip').read('a.png')" for name in ("bomb", "liar", "bzip2")]
    acts += [f"image('{name}.png')" for name in ("more", "huge", "long", "row", "most", "large")]
    found = peak_growth(BOMBS, acts, tmp_path)
    assert [said.replace(f"{tmp_path}/", "") for _, said in found] == [
        "bomb.zip/a.png has 83,886,080 bytes; more than 67,108,864 is refused",
        "liar.zip/a.png cannot be read from the zip: Bad CRC-32 for file 'a.png'",
        "bzip2.zip/a.png uses an unsupported compression method; re-create the zip with deflate or store",
        "more.png is 10000 x 10000; more than 64,000,000 pixels is refused; make it smaller",
        "huge.png has more than 160,000,000 pixels, which is refused",
        "long.png has 68,157,440 bytes; more than 67,108,864 is refused",
        "done",
        "done",
        "done",
    ]
    assert found[5][0] < 32
    # The three images that are decoded take more, and no more than is stated.
    assert found[-2][0] < 256 and found[-1][0] < 1024


def pack(path: Path, mebibytes: int, how: int, says: int | None = None) -> None:
    """A zip of `mebibytes` of zeros, whose headers may say another size."""
    with zipfile.ZipFile(path, "w", how, compresslevel=9) as archive, archive.open("a.png", "w") as member:
        for _ in range(mebibytes):
            member.write(bytes(MIB))
    whole = path.read_bytes()
    assert len(whole) < MIB
    if says is not None:
        size = (mebibytes * MIB).to_bytes(4, "little")
        assert whole.count(size) >= 1
        path.write_bytes(whole.replace(size, says.to_bytes(4, "little")))
