"""Names drawn on the rows and columns of a sheet of images."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

PAPER = 255
INK = 30
"""Gray levels."""
FONT_PX = 13
MIN_CELL = 48
"""Images with a shorter side are enlarged by a whole factor, or their names would dwarf them."""
PAD = 6
"""Pixels between a name and the images, and around the sheet."""
MAX_NAME = 40
"""Characters; a longer name is cut."""

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
Size = tuple[int, int]


@dataclass(frozen=True)
class Names:
    """What the columns and the rows of a grid show; empty = not labeled."""

    columns: Sequence[str] = ()
    rows: Sequence[str] = ()
    title: str = ""

    def __bool__(self) -> bool:
        return bool(self.columns or self.rows or self.title)


def enlarged(images: Tensor) -> Tensor:
    """Images [n, C, H, W] -> each pixel as a square of them, so that no side is below `MIN_CELL`."""
    factor = -(-MIN_CELL // min(images.shape[2:]))
    return images.repeat_interleave(factor, dim=2).repeat_interleave(factor, dim=3)


def labeled(sheet: Tensor, cell: Size, gap: int, names: Names) -> Tensor:
    """A sheet uint8 [C, H, W] of cells of (height, width), `gap` pixels apart, with its names around it."""
    height, width = cell
    columns = [_short(name) for name in names.columns]
    rows = [_short(name) for name in names.rows]
    font = _font()
    upright, lines = _wrapped(columns, width, font)
    left = PAD + max((_size(name, font)[0] for name in rows), default=0) + PAD if rows else PAD
    titled = _size(names.title, font)[1] + PAD if names.title else 0
    top = PAD + titled + (_head(columns, lines, upright, font) + PAD if columns else 0)
    title_width = _size(names.title, font)[0] + 2 * PAD if names.title else 0
    whole = (max(left + sheet.shape[2] + PAD, title_width), top + sheet.shape[1] + PAD)
    # Names are gray, so a gray sheet remains one.
    paper = Image.new("L", whole, PAPER)
    draw = ImageDraw.Draw(paper)
    if names.title:
        draw.text((PAD, PAD), names.title, INK, font)
    for index, name in enumerate(columns):
        center = left + index * (width + gap) + width // 2
        if upright:
            _draw_lines(draw, lines[index], center, top - PAD, font)
        else:
            _draw_turned(paper, name, center, top - PAD, font)
    for index, name in enumerate(rows):
        middle = top + index * (height + gap) + height // 2
        draw.text((left - PAD, middle), name, INK, font, anchor="rm")
    plane = torch.frombuffer(bytearray(paper.tobytes()), dtype=torch.uint8).view(1, whole[1], whole[0])
    canvas = plane.repeat(sheet.shape[0], 1, 1)
    canvas[:, top : top + sheet.shape[1], left : left + sheet.shape[2]] = sheet
    return canvas


def _short(name: str) -> str:
    flat = " ".join(name.split())
    return flat if len(flat) <= MAX_NAME else flat[: MAX_NAME - 3] + "..."


def _wrapped(names: Sequence[str], width: int, font: Font) -> tuple[bool, list[list[str]]]:
    """Whether every word fits into a column of `width`, and each name broken into lines that do."""
    words = [word for name in names for word in name.split()]
    if any(_size(word, font)[0] > width for word in words):
        return False, []
    found = []
    for name in names:
        lines: list[str] = []
        for word in name.split():
            if lines and _size(f"{lines[-1]} {word}", font)[0] <= width:
                lines[-1] += f" {word}"
            else:
                lines.append(word)
        found.append(lines)
    return True, found


def _head(names: Sequence[str], lines: list[list[str]], upright: bool, font: Font) -> int:
    """Height of the names above the columns."""
    if upright:
        return _line_height(font) * max(map(len, lines))
    return max(_size(name, font)[0] for name in names)


def _draw_lines(draw: ImageDraw.ImageDraw, lines: list[str], center: int, bottom: int, font: Font) -> None:
    for index, line in enumerate(reversed(lines)):
        draw.text((center, bottom - index * _line_height(font)), line, INK, font, anchor="ms")


def _draw_turned(paper: Image.Image, name: str, center: int, bottom: int, font: Font) -> None:
    """Reads from the bottom to the top."""
    width, height = _size(name, font)
    strip = Image.new("L", (max(1, width), max(1, height)), PAPER)
    ImageDraw.Draw(strip).text((0, 0), name, INK, font)
    turned = strip.transpose(Image.Transpose.ROTATE_90)
    paper.paste(turned, (center - height // 2, bottom - width))


def _line_height(font: Font) -> int:
    return _size("Ag", font)[1] + 1


def _size(text: str, font: Font) -> Size:
    """(width, height) of one line, in pixels."""
    _, _, right, bottom = font.getbbox(text)
    return int(right), int(bottom)


@cache
def _font() -> Font:
    """DejaVu Sans as matplotlib ships it (Latin, Greek, Cyrillic), or Pillow's own."""
    found = importlib.util.find_spec("matplotlib")
    if found is not None and found.origin is not None:
        file = Path(found.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
        if file.is_file():
            return ImageFont.truetype(str(file), FONT_PX)
    return ImageFont.load_default(FONT_PX)
