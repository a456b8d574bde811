"""Transparency in 32-bit BMPs that do not declare it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image


def add_alpha(image: Image.Image, data: bytes) -> None:
    """Turns an RGB image that was opened from such a BMP into RGBA.

    The format calls the fourth byte of each pixel unused, and Pillow skips it, but many programs (Pillow
    among them) write alpha there. It is alpha if it is neither 0 nor 255 everywhere."""
    tiles: Sequence[Any] = getattr(image, "tile", ())
    if image.format not in ("BMP", "DIB") or len(tiles) != 1 or tiles[0][3][0] != "BGRX":
        return
    _, _, offset, (_, stride, direction) = tiles[0]
    if stride not in (0, 4 * image.width) or offset + 4 * image.width * image.height > len(data):
        return
    pixels = np.frombuffer(data, np.uint8, 4 * image.width * image.height, offset)
    alpha = pixels.reshape(image.height, image.width, 4)[:: direction or 1, :, 3]
    if alpha.max() > 0 and alpha.min() < 255:
        image.putalpha(Image.fromarray(np.ascontiguousarray(alpha)))
