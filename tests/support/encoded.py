"""Image files made by hand, of kinds that no available encoder would write."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

from PIL import Image

GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
"""The color types of PNG."""


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def raw_png(width: int, height: int, color: int, depth: int, rows: bytes, extra: bytes = b"") -> bytes:
    """A PNG of these rows, each with its filter byte; `extra` chunks stand before them."""
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + extra
        + chunk(b"IDAT", zlib.compress(rows, 9))
        + chunk(b"IEND", b"")
    )


def blank_png(width: int, height: int, color: int = GREY) -> bytes:
    """A black PNG of any size, made without holding it."""
    bytes_a_row = 1 + width * {GREY: 1, RGB: 3, GREY_ALPHA: 2, RGBA: 4}[color]
    packer, total, parts = zlib.compressobj(9), bytes_a_row * height, []
    for start in range(0, total, 2**20):
        parts.append(packer.compress(bytes(min(2**20, total - start))))
    content = b"".join([*parts, packer.flush()])
    header = struct.pack(">IIBBBBB", width, height, 8, color, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", content) + chunk(b"IEND", b"")


def encoded(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()
