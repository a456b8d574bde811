"""One image file -> an array of bytes of the form that the data set asks for."""

from __future__ import annotations

import io
import threading
import warnings
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from ganforge.api import UserError
from ganforge_datasets.arrays import read_array, scale_16_bits, to_levels
from ganforge_datasets.bmp_alpha import add_alpha
from ganforge_datasets.formats import formats, is_array_name, what_it_is

FORMAT = 3
"""Version of how files become bytes; part of every cache key."""
LARGE = 16_000_000
"""Pixels from which images are decoded one at a time, JPEGs at a fraction of their size. A smaller one takes
up to 256 MiB for a moment."""
MAX_PIXELS = 64_000_000
"""A larger image is refused before it is decoded."""
MAX_JPEG_PIXELS = 160_000_000
"""So for JPEGs, whose decoder scales by 1/2 to 1/8 as it goes."""
MAX_SIDE = 2**15
"""A longer one is refused: the weights of a resampling grow with the side, whatever the area."""
MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
"""Channels -> Pillow's mode; more channels come from arrays and from pages."""
# Pillow's own limit is higher; no second message next to ours.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
# What it warns of in TIFFs is metadata; pixels that are missing are an error.
warnings.filterwarnings("ignore", module=r"PIL\.TiffImagePlugin")
_one_large = threading.Lock()


@dataclass(frozen=True)
class Form:
    """What every image of a data set is brought to."""

    size: int | tuple[int, int]
    """Height and width in pixels, or the side of a square."""
    channels: int = 3
    """1 grey, 2 grey and alpha, 3 RGB, 4 RGBA; up to 16 of arrays and of TIFFs with pages."""
    fit: Literal["crop", "pad", "resize"] = "resize"
    """How an image of another aspect becomes so: its middle, with black bars, or distorted."""
    middle: int | None = None
    """Side of the square that is cut from the middle before anything else, in pixels; None = no cut."""
    background: tuple[int, int, int] = (255, 255, 255)
    """What shows through where an image is transparent, unless alpha is one of the channels."""
    white_level: int = 65535
    """The value of 16-bit images that becomes 255."""

    @property
    def height_width(self) -> tuple[int, int]:
        return self.size if isinstance(self.size, tuple) else (self.size, self.size)

    @property
    def shape(self) -> tuple[int, int, int]:
        return (self.channels, *self.height_width)


class Decoded(NamedTuple):
    """An image, and what was done to it that a user should know of."""

    pixels: NDArray[np.uint8]
    """[C, H, W]"""
    transparent: bool = False
    """Some of it was transparent and was composed on the background."""
    first_of_many: bool = False
    """It is the first of several frames or pages."""
    highest: int = 0
    """The largest value where it had 16 bits a channel; 0 where it had 8."""


def decode_image(data: bytes, where: str, form: Form) -> Decoded:
    """An encoded image -> uint8 [C, H, W]; any color mode becomes that of the form, transparency is composed
    on its background, any other size is resampled by Lanczos's filter, and it is turned as its EXIF says.

    Raises `UserError` for what is no whole image, naming it as `where`."""
    if not data:
        raise UserError(f"{where} is empty (0 bytes); copy it again")
    try:
        if data[:6] == b"\x93NUMPY" or is_array_name(where):
            return _from_array(data, where, form)
        with Image.open(io.BytesIO(data), formats=formats()) as image:
            _refuse_size(image, where)
            with _one_large if image.width * image.height > LARGE else nullcontext():
                add_alpha(image, data)
                return _decoded(image, where, form)
    except UserError:
        raise
    except Image.DecompressionBombError:
        raise UserError(f"{where} has more than {MAX_JPEG_PIXELS:,} pixels, which is refused") from None
    except UnidentifiedImageError:
        what = what_it_is(data) or f"is not an image (of {', '.join(formats())})"
        raise UserError(f"{where} {what}") from None
    # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error and others on damaged files.
    except Exception as error:
        raise UserError(f"{where} is damaged: {error}; copy it again") from None


def _refuse_size(image: Image.Image, where: str) -> None:
    most = MAX_JPEG_PIXELS if image.format == "JPEG" else MAX_PIXELS
    if image.width * image.height > most:
        raise UserError(
            f"{where} is {image.width} x {image.height}; more than {most:,} pixels is refused; "
            "make it smaller"
        )
    if max(image.size) > MAX_SIDE:
        raise UserError(
            f"{where} is {image.width} x {image.height}; a side of more than {MAX_SIDE:,} is refused"
        )


def _decoded(image: Image.Image, where: str, form: Form) -> Decoded:
    frames = int(getattr(image, "n_frames", 1)) if image.format not in ("JPEG", "MPO") else 1
    if image.format == "TIFF" and frames > 1 and frames * len(image.getbands()) == form.channels:
        return _pages(image, frames, where, form)
    if form.channels not in MODES:
        raise UserError(
            f"{where} has {len(image.getbands())} channels"
            + (f" in each of {frames} pages" if frames > 1 else "")
            + f"; data.channels = {form.channels} needs as many"
        )
    if image.format == "JPEG" and image.width * image.height > LARGE and form.middle is None:
        wanted = 2 * max(form.height_width)
        image.draft(None, (wanted, wanted))
    deep = _is_deep(image)
    _scale_key(image)
    ImageOps.exif_transpose(image, in_place=True)
    level, highest = _eight_bits(image, deep, where, form)
    plain, transparent = _composed(_smaller(level, form), form)
    pixels = np.asarray(_fit(plain, where, form))
    planes = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    return Decoded(planes, transparent, frames > 1, highest)


def _is_deep(image: Image.Image) -> bool:
    """Whether a file that is not loaded yet has 16 bits a channel of which Pillow keeps the upper eight: so
    it does in all modes but grey."""
    for tile in getattr(image, "tile", ()):
        if ";16" in str(tile[3]):
            return True
        # In PPM the largest value follows the mode.
        if isinstance(tile[3], tuple) and image.format == "PPM" and image.mode == "RGB":
            return any(isinstance(each, int) and each > 255 for each in tile[3])
    return False


def _scale_key(image: Image.Image) -> None:
    """Scales the color of a PNG that is transparent as Pillow scales its pixels to 8 bits, but not this."""
    key = image.info.get("transparency")
    raw = {str(tile[3]) for tile in getattr(image, "tile", ())}
    if image.format != "PNG" or isinstance(key, bytes | None):
        return
    if "RGB;16B" in raw:
        image.info["transparency"] = tuple(value >> 8 for value in key)
    elif raw & {"L;2", "L;4"}:
        image.info["transparency"] = key * (85 if "L;2" in raw else 17)


def _eight_bits(image: Image.Image, deep: bool, where: str, form: Form) -> tuple[Image.Image, int]:
    """The image with 8 bits a channel, and its largest value if it had 16, else 0."""
    if image.mode.startswith("I"):
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise UserError(f"{where} has more than 16 bits a channel; convert it to 8 or 16 bits")
        level = Image.fromarray(scale_16_bits(values, form.white_level))
        level.info = {key: value for key, value in image.info.items() if key != "transparency"}
        key = image.info.get("transparency")
        if isinstance(key, int):
            level.putalpha(Image.fromarray(np.where(values == key, 0, 255).astype(np.uint8)))
        return level, int(values.max())
    if image.mode == "F":
        raise UserError(f"{where} has floating-point channels; convert it to 8 or 16 bits, or to .npy")
    if not deep:
        return image, 0
    if form.white_level != 65535:
        raise UserError(
            f"{where} has 16 bits in each of {len(image.getbands())} channels, of which the upper eight are "
            f"read: data.white_level = {form.white_level} cannot be applied; convert it to 8 bits or to .npy"
        )
    return image, max(high for _, high in _extrema(image)) * 257


def _extrema(image: Image.Image) -> list[tuple[int, int]]:
    found = image.getextrema()
    return list(found) if isinstance(found[0], tuple) else [found]  # type: ignore[list-item]


def _smaller(image: Image.Image, form: Form) -> Image.Image:
    """A large image by averages of blocks, so that what follows needs no memory of its size."""
    if image.width * image.height <= LARGE or form.middle is not None:
        return image
    height, width = form.height_width
    factor = min(image.height // (2 * height), image.width // (2 * width))
    if factor < 2:
        return image
    if image.mode in ("P", "PA", "1") or "transparency" in image.info:
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    return image.reduce(factor)


def _composed(image: Image.Image, form: Form) -> tuple[Image.Image, bool]:
    """The image in the mode of the form, and whether some of it was transparent and is no more."""
    mode = MODES[form.channels]
    if image.mode == "La":
        image = image.convert("LA")
    if not image.has_transparency_data:
        return image.convert(mode), False
    clear = image.convert("RGBA")
    if mode.endswith("A"):
        return clear.convert(mode), False
    alpha = clear.getchannel("A")
    if alpha.getextrema() == (255, 255):
        return image.convert("RGBA").convert(mode), False
    ground = Image.new("RGB", clear.size, form.background)
    ground.paste(clear, mask=alpha)
    return ground.convert(mode), True


def _fit(image: Image.Image, where: str, form: Form) -> Image.Image:
    if form.middle is not None:
        if min(image.size) < form.middle:
            raise UserError(
                f"{where} is {image.width} x {image.height}, too small for its middle "
                f"{form.middle} x {form.middle}"
            )
        left, top = (image.width - form.middle) // 2, (image.height - form.middle) // 2
        image = image.crop((left, top, left + form.middle, top + form.middle))
    height, width = form.height_width
    if image.size == (width, height):
        return image
    if form.fit == "crop":
        return ImageOps.fit(image, (width, height), Image.Resampling.LANCZOS)
    if form.fit == "pad":
        return ImageOps.pad(image, (width, height), Image.Resampling.LANCZOS)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def _pages(image: Image.Image, count: int, where: str, form: Form) -> Decoded:
    """The bands of all pages, one after the other, as channels."""
    bands, highest, size = list[Image.Image](), 0, image.size
    for page in range(count):
        image.seek(page)
        if image.size != size:
            raise UserError(f"{where} has pages of different sizes; they cannot be the channels of one image")
        level, high = _eight_bits(image, _is_deep(image), where, form)
        highest = max(highest, high)
        bands += [band.copy() for band in (level.convert("L") if level.mode == "1" else level).split()]
    return Decoded(_stacked(bands, where, form), highest=highest)


def _from_array(data: bytes, where: str, form: Form) -> Decoded:
    array = read_array(data, where, form.channels)
    if max(array.shape[:2]) > MAX_SIDE or array.shape[0] * array.shape[1] > MAX_PIXELS:
        raise UserError(f"{where} is {array.shape[1]} x {array.shape[0]}; that is too large; make it smaller")
    levels, highest = to_levels(array, where, form.white_level)
    found = levels.shape[2]
    if found == form.channels:
        bands = [Image.fromarray(np.ascontiguousarray(levels[:, :, band])) for band in range(found)]
        return Decoded(_stacked(bands, where, form), highest=highest)
    if found not in MODES or form.channels not in MODES:
        raise UserError(f"{where} has {found} channels; data.channels = {form.channels} needs as many")
    image = Image.fromarray(np.ascontiguousarray(levels[:, :, 0] if found == 1 else levels), MODES[found])
    plain, transparent = _composed(image, form)
    pixels = np.asarray(_fit(plain, where, form))
    return Decoded(
        pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1), transparent, highest=highest
    )


def _stacked(bands: list[Image.Image], where: str, form: Form) -> NDArray[np.uint8]:
    return np.stack([np.asarray(_fit(band, where, form)) for band in bands])
