"""What stands where in a drawn scene: names, places, camera and lamps, drawn from one seed.

The distributions are those of CLEVR (Johnson et al., 2017, arXiv:1612.06890): places uniform on a square
seen over one corner, a least distance between objects, and lamps that jitter.
As in i-CLEVR the first object stands at the centre and the names of one scene are distinct.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

COLORS = ("gray", "red", "blue", "green", "brown", "purple", "cyan", "yellow")
SHAPES = ("cube", "sphere", "cylinder")
NAMES = tuple(f"{color} {shape}" for shape in SHAPES for color in COLORS)
"""The 24 labels in the order of i-CLEVR's `objects.json`."""

OBJECTS = 3
"""Objects in a full scene; image i of a scene shows the first i + 1 of them."""

CAMERA = np.array([7.21, -6.83, 5.12], np.float32)
"""Where the camera hangs, in CLEVR's units: an object is about 1.2 wide, the floor is z = 0."""
CAMERA_JITTER = 0.15
LAMP_JITTER = 1.0
REACH = 3.0
"""Objects stand on the square [-3, 3]^2."""
APART = 2.2
"""Least distance between the centres of two objects."""
TRIES = 64


class Scenes(NamedTuple):
    """`n` scenes of three objects; image i of a scene shows its first i + 1 objects."""

    names: NDArray[np.int64]
    """[n, 3]: indices into NAMES, distinct within a scene."""
    places: Floats
    """[n, 3, 2]: centres on the floor."""
    turns: Floats
    """[n, 3]: rotation about the vertical, radians."""
    camera: Floats
    """[n, 3]: the camera's position; it always points at the center."""
    lamps: Floats
    """[n, 3, 3]: how far each lamp (key, back, fill) is from its usual place."""

    def part(self, start: int, stop: int) -> Scenes:
        """Scenes `start` to `stop`."""
        cut = slice(start, stop)
        return Scenes(self.names[cut], self.places[cut], self.turns[cut], self.camera[cut], self.lamps[cut])

    def labels(self) -> NDArray[np.uint8]:
        """Multi-hot labels of all images [3 n, 24]: image i carries the first i + 1 names."""
        one_hot = np.eye(len(NAMES), dtype=np.uint8)[self.names]
        return np.cumsum(one_hot, axis=1, dtype=np.uint8).reshape(-1, len(NAMES))


def draw_scenes(count: int, seed: int) -> Scenes:
    """`count` scenes; the same count and seed give the same scenes."""
    rng = np.random.Generator(np.random.Philox(seed))
    names = rng.random((count, len(NAMES))).argsort(axis=1)[:, :OBJECTS]
    return Scenes(
        names=names,
        places=_places(count, rng).astype(np.float32),
        turns=rng.uniform(0, 2 * np.pi, (count, OBJECTS)).astype(np.float32),
        camera=CAMERA + rng.uniform(-CAMERA_JITTER, CAMERA_JITTER, (count, 3)).astype(np.float32),
        lamps=rng.uniform(-LAMP_JITTER, LAMP_JITTER, (count, 3, 3)).astype(np.float32),
    )


def _places(count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Centres [count, 3, 2]: the first at the origin, each other the first of its candidates with room."""
    places = np.zeros((count, OBJECTS, 2))
    rows = np.arange(count)
    for index in range(1, OBJECTS):
        candidates = rng.uniform(-REACH, REACH, (count, TRIES, 2))
        offset = candidates[:, :, None] - places[:, None, :index]
        room = np.hypot(offset[..., 0], offset[..., 1]).min(axis=2)
        best = np.minimum(room, APART).argmax(axis=1)
        places[:, index] = candidates[rows, best]
    return places
