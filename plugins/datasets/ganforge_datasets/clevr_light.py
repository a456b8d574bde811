"""The light of a drawn scene: three lamps over a grey floor, and the soft shadows on it.

Places and colors of the lamps were fitted to the mean floor of i-CLEVR. All light is linear; `encode` turns
it into sRGB bytes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ganforge_datasets.clevr_camera import View, axis
from ganforge_datasets.clevr_layout import OBJECTS, Floats, Scenes

LAMPS = np.array([[5.93, -2.93, 3.86], [-1.07, 2.92, 5.08], [-4.86, -3.66, 2.84]], np.float32)
"""Key, back and fill lamp [3, xyz]."""
AXES = np.array([[-0.772, 0.400, -0.494], [-0.057, -0.583, -0.810], [0.714, 0.609, -0.345]], np.float32)
"""Where each lamp shines, unit vectors; it lights the half-space before it."""
POWER = np.array([[4.41, 4.09, 3.53], [2.49, 2.48, 2.45], [1.10, 1.20, 1.52]], np.float32)
"""Lamp by color channel, as the brightness of a floor at distance 1."""
AMBIENT = np.array([0.1370, 0.1367, 0.1363], np.float32)
"""Brightness of the floor without a lamp."""
EDGE = np.float32(0.01)
"""Softness of the edge of a lamp's half-space."""
GRAIN = (0.032, 0.016)
"""Standard deviation of the frozen grain of i-CLEVR's renderer, as a part of the brightness: in the top row
and in the bottom row."""
SHADOW_WIDTH = np.float32(0.85)
"""Half the width of a shadow, with its rim."""
SHADOW_LENGTH = np.float32(1.4)
"""How far a lamp's shadow reaches per unit of (lamp's distance / lamp's height)."""
SHADOW_DEPTH = 0.85
"""The part of each lamp's light that its shadow takes."""
CONTACT_WIDTH = 1.1
CONTACT_DEPTH = 0.2
"""The same for the ambient light next to an object."""
LEVELS = 8192


def _srgb_table() -> NDArray[np.uint8]:
    linear = np.linspace(0.0, 1.0, LEVELS)
    curve = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    table: NDArray[np.uint8] = np.rint(255 * curve).astype(np.uint8)
    return table


_SRGB = _srgb_table()


def encode(linear: Floats) -> NDArray[np.uint8]:
    """Linear light in [0, 1] -> sRGB bytes of the same shape. Overwrites `linear`."""
    np.multiply(linear, LEVELS - 1, out=linear)
    np.clip(linear, 0, LEVELS - 1, out=linear)
    return _SRGB[linear.astype(np.uint16)]


def grain(size: int) -> Floats:
    """The frozen grain [S, S], a factor around 1: the same in every image, as in i-CLEVR."""
    rng = np.random.Generator(np.random.Philox(0))
    return (1 + np.linspace(*GRAIN, size)[:, None] * rng.uniform(-1.7, 1.7, (size, size))).astype(np.float32)


def lamp_light(x: Floats, y: Floats, z: Floats, lamp: int) -> tuple[Floats, Floats]:
    """Light of a lamp of power 1 where the offset to the lamp is (x, y, z), and 1 / distance.

    It falls with the square of the distance and with the angle to the lamp's axis; the cosine at the
    surface is the caller's.
    """
    inverse = x * x
    inverse += y * y
    inverse += z * z
    np.sqrt(inverse, out=inverse)
    np.divide(np.float32(1), inverse, out=inverse)
    behind = x * AXES[lamp, 0]
    behind += y * AXES[lamp, 1]
    behind += z * AXES[lamp, 2]
    behind *= inverse
    light = behind * behind
    light += EDGE
    np.sqrt(light, out=light)
    light -= behind
    light *= inverse
    light *= inverse
    light *= np.float32(0.5)
    return light, inverse


def floor_points(view: View, size: int) -> tuple[Floats, Floats]:
    """Where each pixel's ray meets the floor: x and y, each [n, S, S]."""
    centres = np.arange(size, dtype=np.float32) + np.float32(0.5)
    across = axis(centres, size, vertical=False)
    down = axis(centres, size, vertical=True)
    ray = view.forward[:, :, None] - down * view.up[:, :, None]
    reach = (-view.eye[:, 2:] / ray[:, 2])[:, :, None]
    x, y = (
        view.eye[:, i, None, None] + reach * (ray[:, i, :, None] + across * view.right[:, i, None, None])
        for i in (0, 1)
    )
    return x, y


def draw_floors(scenes: Scenes, view: View, size: int) -> Floats:
    """Linear light of the empty floors with the shadows on them, [n, 3 images, RGB, S, S]."""
    x, y = floor_points(view, size)
    lamps = LAMPS + scenes.lamps
    texture = grain(size)
    lights = []
    for lamp in range(3):
        lx, ly, lz = (lamps[:, lamp, i, None, None] for i in range(3))
        light, inverse = lamp_light(lx - x, ly - y, lz, lamp)
        inverse *= lz
        light *= inverse
        light *= texture
        lights.append(light)
    out = np.empty((len(x), OBJECTS, 3, size, size), np.float32)
    ambient = np.repeat(texture[None], len(x), axis=0)
    for image in range(OBJECTS):
        place = scenes.places[:, image]
        for lamp in range(3):
            lights[lamp] *= shadow(x, y, place, lamps[:, lamp])
        ambient *= contact(x, y, place)
        for channel in range(3):
            plane = out[:, image, channel]
            np.multiply(ambient, AMBIENT[channel], out=plane)
            for lamp in range(3):
                plane += lights[lamp] * POWER[lamp, channel]
    return out


def shadow(x: Floats, y: Floats, place: Floats, lamp: Floats) -> Floats:
    """Share of a lamp's light that reaches the floor points (x, y) around an object at `place` [n, 2]."""
    away = place - lamp[:, :2]
    # A lamp straight above throws its shadow nowhere; the bound only keeps the division defined.
    far = np.maximum(np.sqrt((away * away).sum(1, keepdims=True)), np.float32(1e-4))
    away = away / far
    half = np.float32(0.5) * SHADOW_LENGTH * far / lamp[:, 2:]
    centre = place + away * half
    along = away / (half + SHADOW_WIDTH)
    beside: Floats = np.stack([-away[:, 1], away[:, 0]], axis=1)
    beside /= SHADOW_WIDTH
    return _dip(x, y, centre, along, beside, SHADOW_DEPTH)


def contact(x: Floats, y: Floats, place: Floats) -> Floats:
    """What of the ambient light remains close to an object at `place` [n, 2]."""
    side = np.full(len(place), 1 / CONTACT_WIDTH, np.float32)
    zero = np.zeros_like(side)
    along, beside = np.stack([side, zero], axis=1), np.stack([zero, side], axis=1)
    return _dip(x, y, place, along, beside, CONTACT_DEPTH)


def _dip(x: Floats, y: Floats, centre: Floats, u: Floats, v: Floats, depth: float) -> Floats:
    """1 - depth * clip(1.8 (1 - |(u, v) . (p - centre)|^2), 0, 1), [n, S, S]: 1 outside of an ellipse, even
    inside of it, with a soft rim."""
    a, b = (
        x * s[:, 0, None, None] + (y * s[:, 1, None, None] - (centre * s).sum(1)[:, None, None])
        for s in (u, v)
    )
    a *= a
    b *= b
    a += b
    np.subtract(np.float32(1), a, out=a)
    a *= np.float32(1.8)
    np.clip(a, 0, 1, out=a)
    a *= np.float32(-depth)
    a += np.float32(1)
    remains: Floats = a
    return remains
