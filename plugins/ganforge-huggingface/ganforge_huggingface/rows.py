"""Rows of a data set as images of one size; they stay in its memory-mapped Arrow files."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ganforge.api import Stored, UserError


class Rows(Stored):
    """The images of a column, decoded when a batch needs them. Arrow reads any row as fast as any other, so
    an epoch is a permutation of all."""

    def __init__(self, dataset: Any, column: str, size: int, channels: int) -> None:
        self.dataset = dataset.select_columns([column])
        self.column = column
        self.shape = (len(dataset), channels, size, size)

    def read(self, rows: Tensor) -> Tensor:
        _, channels, size, _ = self.shape
        out = torch.empty(len(rows), channels, size, size, dtype=torch.uint8)
        try:
            pictures = self.dataset[rows.tolist()][self.column]
            for place, picture in enumerate(pictures):
                out[place] = torch.from_numpy(to_array(picture, size, channels))
        except (OSError, ValueError, AttributeError) as error:
            raise UserError(
                f"column '{self.column}' has a row that is not a readable image: {error}; repair or remove it"
            ) from None
        return out


def to_array(picture: Image.Image, size: int, channels: int) -> np.ndarray:
    """uint8 [C, size, size]: the central square, resized with antialiasing (bicubic)."""
    picture = picture.convert("RGB" if channels == 3 else "L")
    if picture.size != (size, size):
        side = min(picture.size)
        left, top = (picture.width - side) / 2, (picture.height - side) / 2
        box = (left, top, left + side, top + side)
        picture = picture.resize((size, size), Image.Resampling.BICUBIC, box=box)
    array = np.array(picture, dtype=np.uint8)
    return array[None] if channels == 1 else array.transpose(2, 0, 1)
