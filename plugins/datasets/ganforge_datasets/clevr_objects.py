"""Cubes, spheres and cylinders of drawn scenes, ray-cast in closed form in a window around each.

A window is cast with several rays per pixel and averaged in linear light, which antialiases the edges. What a
lamp gives is linear in its power, so the rays only find out how much of a pixel the object covers and how
squarely each lamp meets it there; colors come in per pixel.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ganforge_datasets.clevr_camera import View, axis, project
from ganforge_datasets.clevr_layout import COLORS, OBJECTS, SHAPES, Floats, Scenes
from ganforge_datasets.clevr_light import AMBIENT, LAMPS, POWER, lamp_light

RADIUS = np.float32(0.6)
"""Of spheres and cylinders; also half the side of a cube and half the height of everything."""
ALBEDO = (
    np.array(
        [
            [87, 87, 87],
            [173, 35, 35],
            [42, 75, 215],
            [29, 105, 20],
            [129, 74, 25],
            [129, 38, 192],
            [41, 208, 208],
            [255, 238, 51],
        ],
        np.float32,
    )
    / 255
)
"""CLEVR's colors in the order of COLORS, as reflectances."""
GAIN = np.float32(1.4)
"""Reflectance 1 over the reflectance of the floor, in whose brightness the lamps are given."""
BOUNCE = (np.float32(0.85), np.float32(0.15))
"""Ambient light: the part from everywhere, and the part that only what faces up gets."""


class Sprites(NamedTuple):
    """Objects of one shape, cast into windows of one size; `m` objects."""

    owner: NDArray[np.int64]
    """[m]: 3 * scene + index in the scene."""
    top: NDArray[np.int64]
    left: NDArray[np.int64]
    """[m]: the window's first row and column; may be off the image."""
    cover: Floats
    """[m, h, w]: the part of the pixel that the object covers."""
    light: Floats
    """[m, 3, h, w]: linear RGB, already times `cover`."""


class _Seen(NamedTuple):
    """Per pixel, averages over its rays of 1, of max(0, normal . lamp) per lamp, and of max(0, normal . up),
    each 0 where the ray misses."""

    cover: Floats
    facing: list[Floats]
    upward: Floats


def draw_objects(scenes: Scenes, view: View, size: int) -> list[Sprites]:
    """All objects of the scenes, one `Sprites` per shape that occurs."""
    shapes = scenes.names.reshape(-1) // len(COLORS)
    sprites = []
    for shape in range(len(SHAPES)):
        owner = np.flatnonzero(shapes == shape)
        if len(owner):
            sprites.append(_draw_shape(SHAPES[shape], owner, scenes, view, size))
    return sprites


def _draw_shape(shape: str, owner: NDArray[np.int64], scenes: Scenes, view: View, size: int) -> Sprites:
    scene = owner // OBJECTS
    place = scenes.places.reshape(-1, 2)[owner]
    turn = scenes.turns.reshape(-1)[owner]
    seen_by = view.take(scene)
    top, left, height, width = _windows(seen_by, place, turn, size)
    rays = max(2, round(192 / size))
    rows, columns = (
        (first[:, None] + (np.arange(count * rays, dtype=np.float32) + np.float32(0.5)) / np.float32(rays))
        for first, count in ((top, height), (left, width))
    )
    own = _own_frame(seen_by, place, turn)
    strength, directions = _lamps(scenes, scene, place, turn)
    seen = _CAST[shape](
        own,
        axis(columns.astype(np.float32), size, vertical=False)[:, None, :],
        axis(rows.astype(np.float32), size, vertical=True)[:, :, None],
        directions,
        rays,
    )
    albedo = ALBEDO[scenes.names.reshape(-1)[owner] % len(COLORS)] * GAIN
    ambient = BOUNCE[0] * seen.cover + BOUNCE[1] * seen.upward
    light = np.empty((len(owner), 3, height, width), np.float32)
    for channel in range(3):
        plane = ambient * AMBIENT[channel]
        for lamp in range(3):
            plane += seen.facing[lamp] * (strength[:, lamp] * POWER[lamp, channel])[:, None, None]
        np.multiply(plane, albedo[:, channel, None, None], out=light[:, channel])
    return Sprites(owner, top, left, seen.cover, light)


def _turned(vector: Floats, turn: Floats) -> Floats:
    """Vectors [m, 3] in the frame of an object that is rotated about the vertical by `turn` [m]."""
    cos, sin = np.cos(turn), np.sin(turn)
    x, y, z = vector.T
    return np.stack([cos * x + sin * y, cos * y - sin * x, z], axis=1)


def _own_frame(view: View, place: Floats, turn: Floats) -> View:
    """The cameras in the frames of objects standing at `place` [m, 2]."""
    eye = view.eye.copy()
    eye[:, :2] -= place
    return View(*(_turned(field, turn) for field in (eye, view.forward, view.right, view.up)))


def _lamps(
    scenes: Scenes, scene: NDArray[np.int64], place: Floats, turn: Floats
) -> tuple[Floats, list[Floats]]:
    """How strong each lamp is at the objects [m, 3], and the directions to it in their frames, 3 x [m, 3]."""
    offset = LAMPS + scenes.lamps[scene]
    offset[:, :, :2] -= place[:, None]
    offset[:, :, 2] -= RADIUS
    strength, directions = [], []
    for lamp in range(3):
        light, inverse = lamp_light(offset[:, lamp, 0], offset[:, lamp, 1], offset[:, lamp, 2], lamp)
        strength.append(light)
        directions.append(_turned(offset[:, lamp] * inverse[:, None], turn))
    return np.stack(strength, axis=1), directions


def _windows(
    view: View, place: Floats, turn: Floats, size: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], int, int]:
    """Windows in pixels that hold the objects' bounding boxes: top [m], left [m], and their common size."""
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (0, 2)], np.float32) * RADIUS
    boxes = np.repeat(corners[None], len(place), axis=0)
    for corner in range(len(corners)):
        boxes[:, corner] = _turned(boxes[:, corner], -turn)
    boxes[:, :, :2] += place[:, None]
    columns, rows = project(view, boxes, size)
    top, left = (np.floor(pixels.min(1)).astype(np.int64) for pixels in (rows, columns))
    bottom, right = (np.ceil(pixels.max(1)).astype(np.int64) for pixels in (rows, columns))
    return top, left, int((bottom - top).max()), int((right - left).max())


def _rays(view: View, across: Floats, down: Floats) -> tuple[Floats, Floats, Floats]:
    """Ray directions: x and y [m, h, w], and z [m, h, 1], which is one for a whole row."""
    f, r, u = (field[:, :, None, None] for field in (view.forward, view.right, view.up))
    x, y = ((across * r[:, i]) + (f[:, i] - down * u[:, i]) for i in (0, 1))
    return x, y, f[:, 2] - down * u[:, 2]


def _mean(values: Floats, rays: int) -> Floats:
    """Averages of `rays` x `rays` blocks: [m, h rays, w rays] -> [m, h, w]."""
    for step in ("rows", "columns"):
        strips = [values[:, i::rays] if step == "rows" else values[:, :, i::rays] for i in range(rays)]
        values = strips[0] + strips[1]
        for strip in strips[2:]:
            values += strip
    values *= np.float32(1 / rays**2)
    return values


def _sphere(view: View, across: Floats, down: Floats, lamps: list[Floats], rays: int) -> _Seen:
    dx, dy, dz = _rays(view, across, down)
    ox, oy, oz = (view.eye - np.array([0, 0, RADIUS], np.float32)).T[:, :, None, None]
    a = dx * dx
    a += dy * dy
    a += dz * dz
    b = dx * ox
    b += dy * oy
    b += dz * oz
    root = b * b
    root -= a * (ox * ox + oy * oy + oz * oz - RADIUS * RADIUS)
    hit = (root > 0).astype(np.float32)
    np.maximum(root, np.float32(0), out=root)
    np.sqrt(root, out=root)
    root += b
    root /= a
    scale = np.float32(1 / RADIUS)
    nx, ny, nz = ((o - root * d) * (hit * scale) for o, d in ((ox, dx), (oy, dy), (oz, dz)))
    facing = []
    for lamp in lamps:
        lx, ly, lz = lamp.T[:, :, None, None]
        cosine = nx * lx
        cosine += ny * ly
        cosine += nz * lz
        facing.append(_mean(np.maximum(cosine, np.float32(0), out=cosine), rays))
    return _Seen(_mean(hit, rays), facing, _mean(np.maximum(nz, np.float32(0)), rays))


def _cylinder(view: View, across: Floats, down: Floats, lamps: list[Floats], rays: int) -> _Seen:
    dx, dy, dz = _rays(view, across, down)
    ox, oy, oz = view.eye.T[:, :, None, None]
    a = dx * dx
    a += dy * dy
    b = dx * ox
    b += dy * oy
    root = b * b
    root -= a * (ox * ox + oy * oy - RADIUS * RADIUS)
    wall = root > 0
    np.maximum(root, np.float32(0), out=root)
    np.sqrt(root, out=root)
    root += b
    root /= a
    height = oz - root * dz
    wall &= height >= 0
    wall &= height <= 2 * RADIUS
    lid_x, lid_y = _at_height(view, dx, dy, dz)
    lid_x *= lid_x
    lid_y *= lid_y
    lid_x += lid_y
    lid = _mean((lid_x < RADIUS * RADIUS).astype(np.float32), rays)
    scale = wall.astype(np.float32)
    cover = _mean(scale, rays)
    scale *= np.float32(1 / RADIUS)
    nx, ny = ((o - root * d) * scale for o, d in ((ox, dx), (oy, dy)))
    facing = []
    for lamp in lamps:
        lx, ly, lz = lamp.T[:, :, None, None]
        cosine = nx * lx
        cosine += ny * ly
        side = _mean(np.maximum(cosine, np.float32(0), out=cosine), rays)
        facing.append(side + lid * lz)
    return _Seen(cover + lid, facing, lid)


def _at_height(view: View, dx: Floats, dy: Floats, dz: Floats) -> tuple[Floats, Floats]:
    """Where rays pass the plane of the objects' tops: x and y."""
    reach = (2 * RADIUS - view.eye[:, 2, None, None]) / dz
    return dx * reach + view.eye[:, 0, None, None], dy * reach + view.eye[:, 1, None, None]


def _cube(view: View, across: Floats, down: Floats, lamps: list[Floats], rays: int) -> _Seen:
    """A camera outside sees the top and at most one side along x and one along y; each is flat, so its
    light is one number."""
    dx, dy, dz = _rays(view, across, down)
    ox, oy, oz = view.eye.T[:, :, None, None]
    x, y = _at_height(view, dx, dy, dz)
    lid = _mean(((np.abs(x) < RADIUS) & (np.abs(y) < RADIUS)).astype(np.float32), rays)
    cover = lid.copy()
    facing = [lid * lamp[:, 2, None, None] for lamp in lamps]
    for o, d, other_o, other_d, column in ((ox, dx, oy, dy, 0), (oy, dy, ox, dx, 1)):
        sign = np.sign(o)
        reach = (sign * RADIUS - o) / d
        beside = np.abs(other_o + reach * other_d) < RADIUS
        height = oz + reach * dz
        beside &= np.abs(height - RADIUS) < RADIUS
        beside &= np.abs(o) > RADIUS
        side = _mean(beside.astype(np.float32), rays)
        cover += side
        for lamp in range(3):
            facing[lamp] += side * np.maximum(lamps[lamp][:, column, None, None] * sign, np.float32(0))
    return _Seen(cover, facing, lid)


_CAST = {"cube": _cube, "sphere": _sphere, "cylinder": _cylinder}
