"""Pictures of a run as WebP, in as many bytes as they may take."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from ganforge.outputs.report.records import Record, read_bytes

WIDTHS = (1800, 1200, 960, 720, 480, 320)
"""Pixels; wider pictures are downscaled."""
QUALITIES = (85, 70, 50)
MAX_FRAMES = 40
MIN_FRAMES = 2
MAX_PIXELS = 64_000_000
TALLEST = 16_383
"""Pixels; WebP has no more."""
SMALL = 400
"""Pixels; narrower pictures are scaled up pixelated instead of blurred."""


@dataclass(frozen=True)
class Picture:
    """One encoded picture."""

    data: bytes
    width: int
    """Of the original, in pixels."""
    height: int

    @property
    def small(self) -> bool:
        return self.width < SMALL


@dataclass(frozen=True)
class Frame:
    """One picture of a film."""

    images_seen: int
    picture: Picture


def open_picture(record: Record, path: Path) -> Image.Image | None:
    """The picture in a file of the run; None if it is none, too large, or no regular file."""
    data = read_bytes(record.run, path)
    if data is None:
        return None
    try:
        image = Image.open(io.BytesIO(data), formats=["PNG"])
        if image.width * image.height > MAX_PIXELS:
            return None
        image.load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    return image


def encode(image: Image.Image, width: int, quality: int) -> Picture:
    """A picture in WebP, at most `width` pixels wide and `TALLEST` tall; losslessly if it is so small that
    blur would show."""
    kept = image.convert("RGB" if image.mode not in ("L", "RGB") else image.mode)
    scale = min(1.0, width / kept.width, TALLEST / kept.height)
    if scale < 1:
        size = (max(1, round(kept.width * scale)), max(1, round(kept.height * scale)))
        kept = kept.resize(size, Image.Resampling.LANCZOS)
    file = io.BytesIO()
    lossless = image.width < SMALL and quality == QUALITIES[0]
    kept.save(file, "WEBP", quality=quality, lossless=lossless, method=4)
    return Picture(file.getvalue(), image.width, image.height)


def fit(image: Image.Image, most: int) -> Picture:
    """The best form of a picture that takes at most `most` bytes; the smallest if none does."""
    picture = None
    for width in WIDTHS:
        if picture is not None and width >= image.width:
            continue
        for quality in QUALITIES:
            picture = encode(image, width, quality)
            if len(picture.data) <= most:
                return picture
    assert picture is not None
    return picture


def film(record: Record, files: Sequence[tuple[int, Path]], most: int) -> list[Frame]:
    """Pictures evenly spaced over the training, first and last among them, in at most `most` bytes."""
    if most <= 0:
        return []
    count = min(MAX_FRAMES, len(files))
    while True:
        frames = _frames(record, spaced(files, count), most // max(1, count))
        size = sum(len(frame.picture.data) for frame in frames)
        if size <= most:
            return frames
        if count <= MIN_FRAMES:
            # Not even the first and the last fit: the last alone, or none.
            last = frames[-1:]
            return last if last and len(last[0].picture.data) <= most else []
        count = max(MIN_FRAMES, min(count - 1, int(count * most / size)))


def spaced(files: Sequence[tuple[int, Path]], count: int) -> list[tuple[int, Path]]:
    """`count` of the files, evenly spaced, with the first and the last."""
    if count >= len(files):
        return list(files)
    if count < 2:
        return list(files[-1:])
    return [files[round(place * (len(files) - 1) / (count - 1))] for place in range(count)]


def thumbnail(record: Record, shape: Sequence[int], gap: int) -> Picture | None:
    """A corner of the newest grid of samples: up to four by two of them."""
    for _, file in reversed(record.grids()):
        image = open_picture(record, file)
        if image is None:
            continue
        if len(shape) == 3 and (image.width + gap) % (shape[2] + gap) == 0:
            width, height = 4 * (shape[2] + gap) - gap, 2 * (shape[1] + gap) - gap
            image = image.crop((0, 0, min(width, image.width), min(height, image.height)))
        return encode(image, 480, QUALITIES[0])
    return None


def _frames(record: Record, files: Sequence[tuple[int, Path]], most: int) -> list[Frame]:
    frames = []
    for seen, file in files:
        image = open_picture(record, file)
        if image is not None:
            frames.append(Frame(seen, fit(image, most)))
    return frames
