"""A figure of images next to their nearest neighbours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ganforge.outputs.figures import blank
from ganforge.outputs.grid import to_uint8

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure


@dataclass(frozen=True)
class Strip:
    """One row: an image and its neighbours."""

    image: Tensor
    """[C, H, W] in [-1, 1]"""
    neighbours: Tensor
    """[k, C, H, W], nearest first."""
    distances: Sequence[float]
    mirrored: Sequence[bool]


def draw_sheet(samples: Sequence[Strip], real: Sequence[Strip]) -> Figure:
    """Samples and their neighbours on the left; for comparison, real images and theirs on the right."""
    columns = 1 + len(samples[0].neighbours)
    figure = blank(2 * columns + 1.2, 1.15 * len(samples) + 0.6)
    halves = figure.add_gridspec(1, 2)
    _draw_block(figure.add_subfigure(halves[0, 0]), samples, "sample", "nearest training images")
    _draw_block(figure.add_subfigure(halves[0, 1]), real, "real image", "nearest others")
    return figure


def _draw_block(part: SubFigure, strips: Sequence[Strip], first: str, others: str) -> None:
    columns = 1 + len(strips[0].neighbours)
    places = part.subplots(len(strips), columns, squeeze=False)
    for line, strip in zip(places, strips, strict=True):
        for axes, image in zip(line, (strip.image, *strip.neighbours), strict=True):
            axes.imshow(_pixels(image), cmap="gray", vmin=0, vmax=255)
            axes.set(xticks=[], yticks=[])
        for axes, distance, flip in zip(line[1:], strip.distances, strip.mirrored, strict=True):
            if math.isfinite(distance):
                axes.set_xlabel(f"{distance:.3g}{' mirrored' if flip else ''}", fontsize=7, labelpad=2)
            else:
                axes.set_visible(False)
        for spine in line[0].spines.values():
            spine.set(color="tab:red", linewidth=2)
    places[0, 0].set_title(first, fontsize=8)
    places[0, 1].set_title(others, fontsize=8, loc="left")


def _pixels(image: Tensor) -> Any:
    """[C, H, W] in [-1, 1] -> the array matplotlib expects: [H, W] or [H, W, 3]."""
    levels = to_uint8(image)
    return levels[0].numpy() if len(levels) == 1 else levels.permute(1, 2, 0).numpy()
