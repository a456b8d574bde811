"""Images of samples: grids of images, scatter plots of points."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ganforge.api import UserError
from ganforge.outputs.atomic import write_bytes
from ganforge.outputs.drawing import as_pictures
from ganforge.outputs.labels import Names, enlarged, labeled

PICTURES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
"""The suffixes of files that a grid can be written to, and Pillow's names of the formats."""
GAP = 2
"""Pixels between adjacent images."""
PAPER = 255
"""Gray level of the gaps and of cells without an image."""


def to_uint8(images: Tensor) -> Tensor:
    """Images [n, C, H, W] in [-1, 1], any float type -> uint8 0 to 255, on the CPU.

    Values outside are clamped, including infinities; NaN becomes black.
    """
    levels = (images.detach().to("cpu", torch.float32).nan_to_num(nan=-1.0).clamp(-1, 1) + 1) * 127.5
    return levels.round().to(torch.uint8)


def save_grid(images: Tensor, path: Path, columns: int = 8, names: Names | None = None) -> None:
    """Writes `grid_png` atomically, converted to the format that the suffix of `path` names in `PICTURES`."""
    _write_as(grid_png(images, columns, names), path)


def grid_png(images: Tensor, columns: int = 8, names: Names | None = None) -> bytes:
    """A PNG: images [n, C, H, W] in a grid with `columns` per row and, if given, the `names` of its rows and
    columns; or points [n, D] as a scatter plot. Images are uint8, or floats in [-1, 1].

    Waves [n, C, L] are drawn as curves; see `drawing.as_pictures` for other numbers of channels and volumes.
    """
    if images.dim() == 2:
        from ganforge.outputs.figures import render, scatter

        points = images.detach().to("cpu", torch.float32)
        return render(scatter(points.numpy()), "png")
    if images.dim() == 3:
        from ganforge.outputs.figures import curves, render

        waves = images.detach().to("cpu", torch.float32)
        return render(curves(waves.numpy()), "png")
    return _png(sheet(images, columns, names))


def sheet(images: Tensor, columns: int, names: Names | None = None) -> Tensor:
    """Images [n, C, H, W] in one, uint8 [C, H, W]: `columns` per row, and names if there are any."""
    levels = _levels(as_pictures(images))
    if not names:
        return _tile(levels, columns)
    levels = enlarged(levels)
    return labeled(_tile(levels, columns), (levels.shape[2], levels.shape[3]), GAP, names)


def _write_as(png: bytes, path: Path) -> None:
    """Writes a picture that is a PNG in the format that the suffix of `path` names."""
    form = PICTURES.get(path.suffix.lower(), "PNG")
    if form == "PNG":
        write_bytes(path, png)
        return
    picture: Image.Image = Image.open(io.BytesIO(png))
    if form == "JPEG" and picture.mode not in ("L", "RGB"):
        # It has no transparency.
        clear = picture.convert("RGBA")
        picture = Image.new("RGB", clear.size, (PAPER,) * 3)
        picture.paste(clear, mask=clear.getchannel("A"))
    file = io.BytesIO()
    picture.save(file, form, quality=95)
    write_bytes(path, file.getvalue())


def save_plane(points: Tensor, real: Tensor, logits: Tensor, extent: float, path: Path) -> None:
    """Writes points [n, 2] over real points [m, 2] and the contours of the critic's logits [S, S],
    which cover the square from -extent to extent, row by row from the bottom."""
    from ganforge.outputs.figures import plane, render

    shown, below, field = (part.detach().to("cpu", torch.float32).numpy() for part in (points, real, logits))
    write_bytes(path, render(plane(shown, below, field, extent), "png"))


def save_sample(sample: Tensor, stem: Path) -> Path:
    """Writes one sample to `stem` with a suffix: an image [1, 3 or 4, H, W] as PNG, anything else as float32
    in .npy. Returns the file."""
    if sample.ndim == 3 and sample.shape[0] in (1, 3, 4):
        save_png(sample, file := stem.with_name(f"{stem.name}.png"))
        return file
    content = io.BytesIO()
    np.save(content, sample.detach().cpu().float().numpy(), allow_pickle=False)
    write_bytes(file := stem.with_name(f"{stem.name}.npy"), content.getvalue())
    return file


def save_png(image: Tensor, path: Path) -> None:
    """Writes one image [C, H, W], uint8 or floats in [-1, 1], as a lossless PNG, atomically."""
    write_bytes(path, _png(_levels(image)))


def image_of(picture: Tensor) -> Image.Image:
    """One image [1, 3 or 4, H, W], uint8 or floats in [-1, 1], for Pillow."""
    return Image.open(io.BytesIO(_png(_levels(picture))))


def _levels(images: Tensor) -> Tensor:
    return images.cpu() if images.dtype == torch.uint8 else to_uint8(images)


def _tile(images: Tensor, columns: int) -> Tensor:
    """[n, C, H, W] -> [C, rows * (H + GAP) - GAP, min(n, columns) * (W + GAP) - GAP]."""
    n, channels, height, width = images.shape
    across = min(n, columns)
    down = -(-n // across)
    tiled = images.new_full((channels, down * (height + GAP) - GAP, across * (width + GAP) - GAP), PAPER)
    for index, image in enumerate(images):
        top, left = index // across * (height + GAP), index % across * (width + GAP)
        tiled[:, top : top + height, left : left + width] = image
    return tiled


def _png(image: Tensor) -> bytes:
    """uint8 [C, H, W] -> a PNG file."""
    channels = image.shape[0]
    if channels not in (1, 3, 4):
        raise UserError(f"expected images with 1 channel (gray), 3 (RGB) or 4 (RGBA), got {channels}")
    pixels = image[0] if channels == 1 else image.permute(1, 2, 0)
    file = io.BytesIO()
    Image.fromarray(pixels.contiguous().numpy()).save(file, format="PNG")
    return file.getvalue()
