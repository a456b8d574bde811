"""Images of samples: grids of images, scatter plots of points."""

from __future__ import annotations

import io
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from ganforge.outputs.atomic import write_bytes

PICTURES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
"""The files that a grid can be written to."""
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


def save_grid(images: Tensor, path: Path, columns: int = 8) -> None:
    """Writes one picture atomically, as a PNG unless the suffix is another of `PICTURES`: samples [n, ...] in
    a grid with `columns` per row, or points [n, D] as a scatter plot. Samples are uint8, or floats in
    [-1, 1]; how those are shown that are no gray or color images: see `shown`.
    """
    if images.dim() == 2:
        from ganforge.outputs.figures import render, scatter

        points = images.detach().to("cpu", torch.float32)
        png = render(scatter(points.numpy()), "png")
        write_bytes(
            path, png if path.suffix.lower() == ".png" else _encoded(Image.open(io.BytesIO(png)), path)
        )
        return
    write_bytes(path, _encoded(_picture(_tile(_levels(shown(images)), columns)), path))


def shown(samples: Tensor) -> Tensor:
    """Samples [n, ...] as images [n, C, H, W] of 1 to 4 channels, of which 2 are gray and alpha, 4 RGBA. Of
    more channels the first three are shown; [n, C, T] as C rows of T pixels; of volumes [n, C, D, H, W] the
    slice in the middle."""
    if samples.dim() == 3:
        samples = samples[:, None]
    if samples.dim() == 5:
        samples = samples[:, :, samples.shape[2] // 2]
    return samples if samples.shape[1] <= 4 else samples[:, :3]


def not_shown(shape: tuple[int, ...]) -> str | None:
    """What pictures leave out of samples of `shape`, in a line; None where they show all."""
    if len(shape) == 2:
        return f"grids show samples of {shape[0]} x {shape[1]} as rows of pixels"
    if len(shape) == 4:
        return f"grids show the middle one of {shape[1]} slices"
    if len(shape) == 3 and shape[0] > 4:
        return f"grids show the first 3 of {shape[0]} channels"
    return None


def save_plane(points: Tensor, data: Tensor, logits: Tensor, extent: float, path: Path) -> None:
    """Writes points [n, 2] over the data [m, 2] and the contours of the critic's logits [S, S],
    which cover the square from -extent to extent, row by row from the bottom."""
    from ganforge.outputs.figures import plane, render

    samples, real, field = (part.detach().to("cpu", torch.float32).numpy() for part in (points, data, logits))
    write_bytes(path, render(plane(samples, real, field, extent), "png"))


def save_png(image: Tensor, path: Path) -> None:
    """Writes one sample, uint8 or floats in [-1, 1], as a lossless PNG, atomically; see `shown`."""
    write_bytes(path, _encoded(_picture(_levels(shown(image[None])[0])), path))


def _levels(images: Tensor) -> Tensor:
    return images.cpu() if images.dtype == torch.uint8 else to_uint8(images)


def _tile(images: Tensor, columns: int) -> Tensor:
    """[n, C, H, W] -> [C, rows * (H + GAP) - GAP, min(n, columns) * (W + GAP) - GAP]."""
    n, channels, height, width = images.shape
    across = min(n, columns)
    down = -(-n // across)
    sheet = images.new_full((channels, down * (height + GAP) - GAP, across * (width + GAP) - GAP), PAPER)
    for index, image in enumerate(images):
        top, left = index // across * (height + GAP), index % across * (width + GAP)
        sheet[:, top : top + height, left : left + width] = image
    return sheet


def _picture(image: Tensor) -> Image.Image:
    """uint8 [C, H, W] of 1 to 4 channels -> a picture."""
    channels = image.shape[0]
    pixels = image[0] if channels == 1 else image.permute(1, 2, 0)
    return Image.fromarray(pixels.contiguous().numpy(), {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels])


def _encoded(picture: Image.Image, path: Path) -> bytes:
    """The picture as a file of the format that the suffix of `path` names; PNG for any other."""
    form = PICTURES.get(path.suffix.lower(), "PNG")
    if form == "JPEG" and picture.mode in ("LA", "RGBA"):
        # It knows no transparency.
        ground = Image.new("RGB", picture.size, (PAPER,) * 3)
        ground.paste(picture.convert("RGBA"), mask=picture.getchannel("A"))
        picture = ground
    file = io.BytesIO()
    picture.save(file, form, **({} if form == "PNG" else {"quality": 95}))
    return file.getvalue()
