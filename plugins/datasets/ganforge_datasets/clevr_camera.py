"""The camera of a drawn scene: which ray belongs to which pixel, and back."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ganforge_datasets.clevr_layout import Floats

FOCAL = 35 / 32
"""Focal length over sensor width: Blender's default lens."""
ASPECT = 0.75
"""Height over width of the 320 x 240 render that i-CLEVR squashes to a square; objects look tall."""
TARGET = np.array([0.0, 0.0, 0.03], np.float32)
"""Where the camera looks."""


class View(NamedTuple):
    """Cameras of `n` scenes, each field [n, 3]. The ray of a pixel is `forward + x right - y up`, with
    (x, y) from `axis`; `right` has no z."""

    eye: Floats
    forward: Floats
    right: Floats
    up: Floats

    def take(self, rows: slice | np.ndarray[tuple[int], np.dtype[np.int64]]) -> View:
        """The cameras of some of the scenes."""
        return View(*(field[rows] for field in self))


def look(eye: Floats) -> View:
    """The view from `eye` [n, 3] at the centre of the scene."""
    forward = TARGET - eye
    forward /= np.linalg.norm(forward, axis=1, keepdims=True)
    right = np.stack([forward[:, 1], -forward[:, 0], np.zeros(len(eye), np.float32)], axis=1)
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    return View(eye, forward, right, np.cross(right, forward))


def axis(pixels: Floats, size: int, vertical: bool) -> Floats:
    """Pixel coordinates (0 = the outer edge of the first pixel) -> coordinates on the image plane, x or y."""
    return (pixels / np.float32(size) - np.float32(0.5)) * np.float32((ASPECT if vertical else 1.0) / FOCAL)


def project(view: View, points: Floats, size: int) -> tuple[Floats, Floats]:
    """World points [n, p, 3] -> pixel columns and rows, each [n, p]."""
    offset = points - view.eye[:, None]
    depth, x, y = ((offset * side[:, None]).sum(2) for side in (view.forward, view.right, view.up))
    return (x / depth * FOCAL + 0.5) * size, (0.5 - y / depth * (FOCAL / ASPECT)) * size
