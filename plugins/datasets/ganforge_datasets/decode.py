"""Image files of a folder or a zip, decoded in parallel to arrays of bytes."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from ganforge.api import Track, UserError
from ganforge_datasets.in_order import in_order
from ganforge_datasets.stores import Store

FORMAT = 1
"""Version of how files become bytes; part of every cache key."""
FORMATS = ("PNG", "JPEG", "WEBP", "BMP")
MOST_PIXELS = 16_000_000
"""A larger image is refused before it is decoded; one of this size takes up to 256 MiB for a moment."""
MOST_SIDE = 2**15
"""A longer one is refused: the weights of a resampling grow with the side, whatever the area."""
MOST_WORKERS = 8
"""Images decoded at once, so that all together need 2 GiB at most."""
# Pillow's own limit is higher; no second message beside ours.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
AT_ONCE = 64
"""The most images per step of the progress bar, and per task of a worker."""
PIECE_BYTES = 4 * 2**20
"""The most bytes of decoded images per task, of which some tens are in memory at a time."""


@dataclass(frozen=True)
class Form:
    """What every image of a data set is brought to: `channels` colours, `size` x `size` pixels."""

    size: int
    channels: Literal[1, 3] = 3
    fit: Literal["crop", "pad", "resize"] = "resize"
    """How an image that is not square becomes so: its middle, with black bars, or distorted."""
    middle: int | None = None
    """Side of the square that is cut from the middle before anything else, in pixels; None = no cut."""


def decode_image(data: bytes, where: str, form: Form) -> NDArray[np.uint8]:
    """An encoded image -> uint8 [C, S, S]; any colour mode becomes RGB or grey, any other size is
    resampled with antialiasing, and it is turned as its EXIF says. Transparency is dropped. Of an
    animation the first frame is taken.

    Raises `UserError` for what is no whole image of 8 bits a channel, naming it as `where`."""
    if not data:
        raise UserError(f"{where} is empty (0 bytes); copy it again")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise UserError(
                    f"{where} is {image.width} x {image.height}; more than {MOST_PIXELS:,} pixels is refused"
                )
            if max(image.size) > MOST_SIDE:
                raise UserError(
                    f"{where} is {image.width} x {image.height}; a side of more than {MOST_SIDE:,} is refused"
                )
            if image.mode.startswith("I") or _deep(image):
                raise UserError(f"{where} has more than 8 bits a channel; convert it to 8 bits")
            upright = ImageOps.exif_transpose(image).convert("RGB" if form.channels == 3 else "L")
    except UserError:
        raise
    except Image.DecompressionBombError:
        raise UserError(f"{where} has more than {MOST_PIXELS:,} pixels, which is refused") from None
    except UnidentifiedImageError:
        raise UserError(f"{where} is not an image ({', '.join(FORMATS)})") from None
    # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error and others on damaged files.
    except Exception as error:
        raise UserError(f"{where} is damaged: {error}; copy it again") from None
    pixels = np.asarray(_fit(upright, where, form))
    return pixels[None] if form.channels == 1 else pixels.transpose(2, 0, 1)


def _deep(image: Image.Image) -> bool:
    """Whether it has 16 bits a channel, of which Pillow would quietly drop the lower eight."""
    return any(str(tile[3]).endswith(";16B") for tile in getattr(image, "tile", ()))


def _fit(image: Image.Image, where: str, form: Form) -> Image.Image:
    if form.middle is not None:
        if min(image.size) < form.middle:
            raise UserError(
                f"{where} is {image.width} x {image.height}, too small for its middle "
                f"{form.middle} x {form.middle}"
            )
        left, top = (image.width - form.middle) // 2, (image.height - form.middle) // 2
        image = image.crop((left, top, left + form.middle, top + form.middle))
    size = (form.size, form.size)
    if image.size == size:
        return image
    if form.fit == "crop":
        return ImageOps.fit(image, size, Image.Resampling.LANCZOS)
    if form.fit == "pad":
        return ImageOps.pad(image, size, Image.Resampling.LANCZOS)
    return image.resize(size, Image.Resampling.LANCZOS)


def decode_images(
    store: Store, names: Sequence[str], form: Form, track: Track
) -> Iterator[NDArray[np.uint8]]:
    """The named files of a store in their order, in pieces uint8 [n, C, S, S]. Raises `UserError`."""
    step = max(1, min(AT_ONCE, PIECE_BYTES // (form.channels * form.size**2)))

    def decode(start: int) -> NDArray[np.uint8]:
        part = names[start : start + step]
        return np.stack([decode_image(store.read(name), store.where(name), form) for name in part])

    starts = range(0, len(names), step)
    workers = min(MOST_WORKERS, os.cpu_count() or 1)
    yield from track(in_order(decode, starts, workers), len(starts), "decoding images")
