"""Films of samples, as animated WebP or GIF."""

from __future__ import annotations

import io
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from ganforge.api import UserError
from ganforge.outputs.atomic import write_bytes
from ganforge.outputs.drawing import as_pictures
from ganforge.outputs.grid import sheet

FILMS = {".webp": "WEBP", ".gif": "GIF"}
MIN_SIDE = 128
"""Pixels of a sample in a film; smaller ones are enlarged by a whole factor."""


def write_film(images: Tensor, per_frame: int, path: Path, fps: float) -> None:
    """Writes images [frames * per_frame, C, H, W] in [-1, 1] as a film that repeats for ever.

    Raises `UserError` for another suffix than those of `FILMS`, and for samples that are no images.
    """
    form = FILMS.get(path.suffix.lower())
    if form is None:
        raise UserError(f"{path}: expected a film to be one of {', '.join(FILMS)}")
    if images.ndim < 4:
        raise UserError(
            f"samples of shape {tuple(images.shape[1:])} are no images, so there is no film of them"
        )
    shown = as_pictures(images)
    factor = -(-MIN_SIDE // min(shown.shape[2:]))
    frames = []
    for part in torch.split(shown, per_frame):
        pixels = sheet(part.repeat_interleave(factor, 2).repeat_interleave(factor, 3), per_frame)
        plain = pixels[0] if len(pixels) == 1 else pixels.permute(1, 2, 0)
        frames.append(Image.fromarray(plain.contiguous().numpy()))
    file = io.BytesIO()
    options = {"quality": 85, "method": 4} if form == "WEBP" else {"optimize": True}
    frames[0].save(
        file, form, save_all=True, append_images=frames[1:], duration=round(1000 / fps), loop=0, **options
    )
    write_bytes(path, file.getvalue())
