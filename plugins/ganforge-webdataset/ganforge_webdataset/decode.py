"""Encoded images -> arrays of one size."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, UnidentifiedImageError

from ganforge.api import UserError


def decode(content: bytes, size: int, channels: int, name: str) -> np.ndarray:
    """uint8 [C, size, size]: the central square, resized with antialiasing (bicubic). Raises `UserError` with
    `name` for a damaged image."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            # A JPEG is decoded at the next larger of its sizes.
            image.draft("RGB" if channels == 3 else "L", (size, size))
            picture = image.convert("RGB" if channels == 3 else "L")
    except (OSError, UnidentifiedImageError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"{name}: not a readable image: {error}; repair or remove it") from None
    if picture.size != (size, size):
        side = min(picture.size)
        left, top = (picture.width - side) / 2, (picture.height - side) / 2
        box = (left, top, left + side, top + side)
        picture = picture.resize((size, size), Image.Resampling.BICUBIC, box=box)
    array = np.asarray(picture, dtype=np.uint8)
    return array[None] if channels == 1 else array.transpose(2, 0, 1)
