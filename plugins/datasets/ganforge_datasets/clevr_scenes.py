"""Draws pictures like those of i-CLEVR, for runs without the real ones.

Everything random is in the `Scenes`, drawn up front, and each scene is drawn by itself, so the bytes do not
depend on how many threads draw.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ganforge_datasets.clevr_camera import View, look
from ganforge_datasets.clevr_layout import OBJECTS, Floats, Scenes
from ganforge_datasets.clevr_light import draw_floors, encode
from ganforge_datasets.clevr_objects import Sprites, draw_objects
from ganforge_datasets.in_order import in_order

RENDERER = 1
"""Version of what is drawn; part of the cache's key."""
PIXELS_AT_ONCE = 16 * 64 * 64
"""Floor pixels drawn together: their planes fit in the processor's cache."""


def pieces(scenes: Scenes, size: int) -> int:
    """How many pieces `draw` yields."""
    return -(-len(scenes.names) // _step(size))


def _step(size: int) -> int:
    return max(1, PIXELS_AT_ONCE // size**2)


def draw(scenes: Scenes, size: int, workers: int | None = None) -> Iterator[NDArray[np.uint8]]:
    """Images of the scenes in order, in pieces [3 n, 3, S, S] of uint8; image i of a scene shows its first
    i + 1 objects. `workers` is the number of threads; None = one per processor."""
    starts = range(0, len(scenes.names), _step(size))

    def piece(start: int) -> NDArray[np.uint8]:
        return render(scenes.part(start, start + _step(size)), size)

    return in_order(piece, starts, workers or os.cpu_count() or 1)


def render(scenes: Scenes, size: int) -> NDArray[np.uint8]:
    """All images of the scenes, uint8 [3 n, 3, S, S]."""
    view = look(scenes.camera)
    images = draw_floors(scenes, view, size)
    _place_objects(images, draw_objects(scenes, view, size), scenes, view)
    return encode(images.reshape(-1, 3, size, size))


def _place_objects(images: Floats, groups: list[Sprites], scenes: Scenes, view: View) -> None:
    """Puts the objects into the images [n, 3, RGB, S, S] that show them, far ones first."""
    offset = scenes.places - view.eye[:, None, :2]
    depth = (offset * view.forward[:, None, :2]).sum(2).reshape(-1)
    entries = [(group, row) for group in groups for row in range(len(group.owner))]
    entries.sort(key=lambda entry: -depth[entry[0].owner[entry[1]]])
    size = images.shape[-1]
    for group, row in entries:
        scene, index = divmod(int(group.owner[row]), OBJECTS)
        top, left = int(group.top[row]), int(group.left[row])
        height, width = group.cover.shape[1:]
        y0, y1 = max(top, 0), min(top + height, size)
        x0, x1 = max(left, 0), min(left + width, size)
        if y0 >= y1 or x0 >= x1:
            continue
        inside = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
        under = images[scene, index:, :, y0:y1, x0:x1]
        under *= 1 - group.cover[row][inside]
        under += group.light[row][(slice(None), *inside)]
