"""Images kept as NumPy arrays: `.npy`, and `.npz` with one array."""

from __future__ import annotations

import io
import math
import zipfile

import numpy as np
from numpy.typing import NDArray

from ganforge.api import UserError

MAX_BYTES = 256 * 2**20
"""Of an array; a larger one is refused by its header."""


def read_array(data: bytes, where: str, channels: int) -> NDArray[np.generic]:
    """The array of a file as [H, W, C]: it may lie as [H, W], [H, W, C] or [C, H, W], of which the last two
    are told apart by the side that has `channels`, else by the smaller one.

    Raises `UserError` for anything that is no one image, naming it as `where`. Pickles are never read.
    """
    array = _npz(data, where) if data[:2] == b"PK" else _npy(data, where)
    if array.ndim == 2:
        return array[:, :, None]
    if array.ndim != 3 or 0 in array.shape:
        raise UserError(
            f"{where} holds an array of shape {array.shape}; "
            "expected one image, [H, W], [H, W, C] or [C, H, W]"
        )
    first, _, last = array.shape
    if last != channels and (first == channels or first < last):
        return array.transpose(1, 2, 0)
    return array


def _npz(data: bytes, where: str) -> NDArray[np.generic]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
        if len(members) != 1:
            names = ", ".join(member.filename.removesuffix(".npy") for member in members[:5])
            raise UserError(f"{where} holds {len(members)} arrays ({names}); expected one image per file")
        if members[0].file_size > MAX_BYTES:
            raise UserError(
                f"{where} unpacks to {members[0].file_size:,} bytes; at most {MAX_BYTES:,} are read"
            )
        if members[0].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise UserError(f"{where} is compressed neither by deflate nor not at all; save it again")
        with archive.open(members[0]) as file:
            return _npy(file.read(members[0].file_size), where)


def _npy(data: bytes, where: str) -> NDArray[np.generic]:
    file = io.BytesIO(data)
    version = np.lib.format.read_magic(file)
    read_header = (
        np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    )
    shape, fortran, dtype = read_header(file)
    if dtype.hasobject:
        raise UserError(f"{where} holds Python objects, which are not read; save numbers")
    # Before the array is made: a header may claim any size.
    if math.prod(shape) * dtype.itemsize != len(data) - file.tell():
        raise UserError(f"{where} is damaged: its size does not fit its header; copy it again")
    flat = np.frombuffer(data, dtype, offset=file.tell())
    return flat.reshape(shape, order="F" if fortran else "C")


def to_levels(array: NDArray[np.generic], where: str, white: int) -> tuple[NDArray[np.uint8], int]:
    """Numbers of any type -> uint8 0 to 255, and the largest value of those that have more than 8 bits
    (0 where they do not). uint8 as it is, bool as 0 and 255, integers of 16 bits with `white` as 255,
    floats with 1 as 255.

    Raises `UserError` for other numbers, and for floats outside of 0 to 1.
    """
    if array.dtype == np.uint8:
        return array.astype(np.uint8), 0
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255), 0
    if array.dtype.kind not in "iuf":
        raise UserError(
            f"{where} has values of type {array.dtype}; expected uint8, uint16, bool or float from 0 to 1"
        )
    low, high = float(array.min()), float(array.max())
    if array.dtype.kind in "iu":
        if low < 0 or high > 65535:
            raise UserError(
                f"{where} has values from {low:.0f} to {high:.0f}; expected 0 to 65535 (16 bits); convert it"
            )
        return scale_16_bits(array, white), int(high)
    if not (low >= 0 and high <= 1):
        raise UserError(
            f"{where} has values from {low:g} to {high:g}; expected floats from 0 to 1; scale them, or "
            "save uint8 or uint16"
        )
    return np.rint(array.astype(np.float64) * 255).astype(np.uint8), 0


def scale_16_bits(values: NDArray[np.generic], white: int) -> NDArray[np.uint8]:
    """0 to `white` -> 0 to 255, rounded; what is above `white` is 255."""
    scaled = np.rint(np.minimum(values.astype(np.float64), white) * (255 / white))
    return scaled.astype(np.uint8)
