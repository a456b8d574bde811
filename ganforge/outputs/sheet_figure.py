"""A grid of images as a figure for a paper: names and title are text, in PDF as well."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from ganforge.outputs.figures import blank
from ganforge.outputs.grid import GAP, sheet
from ganforge.outputs.labels import Names

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CELL = 0.55
"""Inches of an image."""
MAX_WIDTH = 14.0
FONT = 7
CHARACTER = 0.058
"""Inches of one at 7 points, about."""


def draw_sheet(images: Tensor, columns: int, names: Names, title: str) -> Figure:
    """Images [n, C, H, W] in [-1, 1], `columns` per row, with the names of rows and columns."""
    pixels = sheet(images, columns)
    height, width = images.shape[2:]
    across, down = min(len(images), columns), -(-len(images) // columns)
    left = 0.2 + 1.2 * CHARACTER * max(map(len, names.rows), default=0)
    cell = min(CELL, (MAX_WIDTH - left) / across)
    turned = CHARACTER * max(map(len, names.columns), default=0) > cell
    top = CHARACTER * max(map(len, names.columns), default=0) if turned else 0.2
    figure = blank(max(4.0, left + cell * across + 0.3), cell * height / width * down + top + 0.5)
    axes = figure.add_subplot()
    shown = pixels.permute(1, 2, 0).numpy()
    if shown.shape[2] == 1:
        axes.imshow(shown[:, :, 0], cmap="gray", vmin=0, vmax=255, interpolation="none")
    else:
        axes.imshow(shown, interpolation="none")
    places = [index * (width + GAP) + (width - 1) / 2 for index in range(across)]
    axes.set_xticks(places if names.columns else [], labels=list(names.columns), parse_math=False)
    places = [index * (height + GAP) + (height - 1) / 2 for index in range(down)]
    axes.set_yticks(places if names.rows else [], labels=list(names.rows), parse_math=False)
    axes.tick_params(top=False, labeltop=True, bottom=False, labelbottom=False, left=False, labelsize=FONT)
    if turned:
        axes.tick_params(axis="x", labelrotation=90)
    axes.spines[:].set_visible(False)
    figure.suptitle(title, fontsize=10, parse_math=False)
    return figure
