"""Conditions that are not names: vectors of numbers, and images, from the command line and from files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from ganforge.api import LabelSpec, UserError
from ganforge.api.conditions import read_list

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
"""Images that a folder is searched for."""


def rows(labels: LabelSpec, text: str | None, file: Path | None) -> Tensor:
    """What `--condition` (`text`) or `--conditions` (`file`) ask for, of labels that are vectors or images:
    [m, K], or [m, C, H, W] in [-1, 1]. A folder of images stands for all of them, by name.

    Raises `UserError` for a condition that the data cannot have, and where there is none.
    """
    if text is None and file is None:
        raise UserError(f"the condition is {_what(labels)}; pass it with --condition {_example(labels)}")
    if text is not None:
        wanted: Sequence[Any] = [text]
        base = Path()
    else:
        assert file is not None
        wanted, base = read_list(file), file.parent
    found = [row for position, each in enumerate(wanted) for row in _rows(labels, each, base, position, file)]
    return torch.stack(found)


def _rows(labels: LabelSpec, wish: Any, base: Path, position: int, file: Path | None) -> list[Tensor]:
    try:
        if labels.kind == "vector":
            return [vector(labels, wish)]
        return list(images_of(labels, wish, base))
    except UserError as error:
        where = "" if file is None else f"{file}: condition {position} (counted from 0): "
        raise UserError(f"{where}{error}") from None


def images_of(labels: LabelSpec, wish: Any, base: Path) -> Tensor:
    """The name of an image, or of a folder of images, relative to `base` -> [m, C, H, W] in [-1, 1]."""
    if not isinstance(wish, str | Path):
        raise UserError(f"expected the name of an image file, got {wish!r:.60}")
    return torch.stack([_image(labels, each) for each in _images_in(base / wish)])


def vector(labels: LabelSpec, wish: Any) -> Tensor:
    """`"0.5, -1"`, or a list of numbers -> [K]."""
    parts = [part.strip() for part in wish.split(",")] if isinstance(wish, str) else wish
    names = ", ".join(labels.names)
    try:
        numbers = [float(part) for part in parts if not isinstance(part, bool)]
    except (TypeError, ValueError):
        raise UserError(f"expected {labels.width} numbers ({names}), got {wish!r:.60}") from None
    if len(numbers) != labels.width or not all(map(math.isfinite, numbers)):
        raise UserError(f"expected {labels.width} finite numbers ({names}), got {wish!r:.60}")
    return torch.tensor(numbers)


def _images_in(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(each for each in path.iterdir() if each.suffix.lower() in SUFFIXES)
    if not found:
        raise UserError(f"{path}: no images ({', '.join(SUFFIXES)}) in this folder")
    return found


def _image(labels: LabelSpec, path: Path) -> Tensor:
    """[C, H, W] in [-1, 1]."""
    channels, height, width = labels.size
    if channels not in (1, 3):
        raise UserError(f"a condition of {channels} channels cannot be read from an image file")
    try:
        with Image.open(path) as opened:
            if opened.size != (width, height):
                raise UserError(
                    f"{path}: expected an image of {width}x{height} pixels, got "
                    f"{opened.width}x{opened.height}"
                )
            pixels = np.array(opened.convert("L" if channels == 1 else "RGB"))
    except UnidentifiedImageError:
        raise UserError(f"{path}: not an image") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from None
    image = torch.from_numpy(pixels).view(height, width, channels).permute(2, 0, 1)
    return image.float() / 127.5 - 1.0


def _what(labels: LabelSpec) -> str:
    if labels.kind == "image":
        channels, height, width = labels.size
        kind = {1: "a gray image", 3: "an RGB image"}.get(channels, f"an image of {channels} channels")
        return f"{kind} of {width}x{height} pixels"
    return f"a vector of {labels.width} numbers ({', '.join(labels.names)})"


def _example(labels: LabelSpec) -> str:
    if labels.kind == "image":
        return "FILE.png, or a folder of such"
    return f'"{", ".join(["0.5"] * labels.width)}"'
