"""The IDX format of MNIST: a magic number, the lengths of the dimensions, and the bytes.

Described by LeCun, Cortes and Burges, "The MNIST database of handwritten digits", 1998.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from io import BufferedIOBase
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ganforge.api import UserError

UNSIGNED_BYTE = 8
"""The format's code of the only element type that MNIST uses."""
MAX_BYTES = 2**30
"""A file that says it holds more is refused before it is read."""
PIECE = 2**20


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """The array of an IDX file of bytes, plain or with the suffix .gz.

    Raises `UserError` unless the file is exactly what its header says, and has that many dimensions.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            header = file.read(4 + 4 * dimensions)
            shape = _shape(path, header, dimensions)
            # One byte more than promised, to see whether there is more.
            content = _read(file, math.prod(shape) + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise UserError(f"{path} is not a whole gzip file; copy it again") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    if len(content) != math.prod(shape):
        much = "more" if len(content) > math.prod(shape) else f"only {len(content):,}"
        raise UserError(
            f"{path} should hold {math.prod(shape):,} bytes after its header and has {much}; copy it again"
        )
    return np.frombuffer(content, np.uint8).reshape(shape)


def _read(file: BufferedIOBase, most: int) -> bytearray:
    """At most `most` bytes, chunk by chunk: a single read would allocate all that the header claims."""
    content = bytearray()
    while piece := file.read(min(PIECE, most - len(content))):
        content += piece
    return content


def _shape(path: Path, header: bytes, dimensions: int) -> tuple[int, ...]:
    magic = bytes([0, 0, UNSIGNED_BYTE, dimensions])
    if header[:4] != magic or len(header) != 4 + 4 * dimensions:
        raise UserError(
            f"{path} is not an IDX file of {dimensions} dimension{'s'[: dimensions - 1]} of bytes: "
            f"it starts with {header[:4].hex() or 'nothing'}, not {magic.hex()}"
        )
    shape = struct.unpack(f">{dimensions}I", header[4:])
    if math.prod(shape) > MAX_BYTES:
        raise UserError(
            f"{path} says it holds {math.prod(shape):,} bytes; more than {MAX_BYTES:,} is refused"
        )
    return shape
