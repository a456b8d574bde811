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


def zeros(count: int) -> bytes:
    """`count` zero bytes as a zlib stream (RFC 1950), made of one compressed MiB that is repeated."""
    whole, rest = divmod(count, 2**20)
    packer, last = zlib.compressobj(9, wbits=-15), zlib.compressobj(9, wbits=-15)
    # A full flush: what follows refers to nothing before it.
    block = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    # Adler-32: 1 plus the bytes, and the sum of that after each byte.
    checksum = struct.pack(">HH", count % 65521, 1)
    return b"\x78\xda" + block * whole + last.compress(bytes(rest)) + last.flush() + checksum


def blank_png(width: int, height: int, color: int = GREY) -> bytes:
    """A black PNG of any size, made without holding it."""
    bytes_a_row = 1 + width * {GREY: 1, RGB: 3, GREY_ALPHA: 2, RGBA: 4}[color]
    header = struct.pack(">IIBBBBB", width, height, 8, color, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zeros(bytes_a_row * height))
        + chunk(b"IEND", b"")
    )


def encoded(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()
