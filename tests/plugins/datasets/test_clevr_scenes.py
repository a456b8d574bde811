from __future__ import annotations

import colorsys

import numpy as np
import pytest

from ganforge_datasets.clevr_layout import APART, COLORS, NAMES, Scenes, draw_scenes
from ganforge_datasets.clevr_scenes import draw, pieces, render

HUES = {"red": 0, "blue": 228, "green": 113, "brown": 28, "purple": 275, "cyan": 180, "yellow": 54}
"""Degrees; the hue of each color of CLEVR as RGB bytes. Gray has none."""


def drawn(count: int, seed: int = 0, size: int = 64, workers: int | None = None) -> np.ndarray:
    return np.concatenate(list(draw(draw_scenes(count, seed), size, workers)))


def window_centre(scenes: Scenes, scene: int, index: int, size: int) -> tuple[float, float]:
    """Row and column of an object's middle, by a 3 x 4 pinhole matrix in float64."""
    eye = scenes.camera[scene].astype(float)
    back = eye - np.array([0, 0, 0.03])
    back /= np.linalg.norm(back)
    right = np.cross([0, 0, 1], back)
    right /= np.linalg.norm(right)
    pose = np.stack([right, np.cross(back, right), back])
    x, y, z = pose @ (np.array([*scenes.places[scene, index], 0.6]) - eye)
    return size * (0.5 + y / z * 35 / 32 / 0.75), size * (0.5 - x / z * 35 / 32)


def test_names_are_those_of_objects_json() -> None:
    assert NAMES[0] == "gray cube" and NAMES[7] == "yellow cube"
    assert NAMES[8] == "gray sphere" and NAMES[23] == "yellow cylinder"
    assert len(set(NAMES)) == 24


def test_objects_of_a_scene_are_distinct_and_apart() -> None:
    scenes = draw_scenes(2000, 3)
    assert all(len(set(row)) == 3 for row in scenes.names.tolist())
    assert np.all(scenes.places[:, 0] == 0)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        gap = np.hypot(*(scenes.places[:, i] - scenes.places[:, j]).astype(float).T)
        assert gap.min() > APART - 1e-5
    assert np.abs(scenes.places).max() <= 3
    counts = np.bincount(scenes.names.reshape(-1), minlength=24)
    assert np.all(np.abs(counts - 250) < 6 * np.sqrt(250))


def test_labels_name_the_objects_so_far() -> None:
    scenes = draw_scenes(5, 1)
    labels = scenes.labels()
    assert labels.shape == (15, 24) and labels.dtype == np.uint8
    for image, row in enumerate(labels):
        assert set(np.flatnonzero(row)) == set(scenes.names[image // 3, : image % 3 + 1].tolist())


def test_the_bytes_depend_on_the_seed_only() -> None:
    first = drawn(70, workers=1)
    assert np.array_equal(first, drawn(70, workers=3))
    assert not np.array_equal(first, drawn(70, seed=1))
    scenes = draw_scenes(70, 0)
    alone = np.concatenate([render(scenes.part(i, i + 1), 64) for i in range(70)])
    assert np.array_equal(first, alone)


@pytest.mark.parametrize("size", [16, 32, 64, 128, 256])
def test_shape_at_every_size(size: int) -> None:
    scenes = draw_scenes(3, 0)
    images = np.concatenate(list(draw(scenes, size)))
    assert images.shape == (9, 3, size, size) and images.dtype == np.uint8
    assert len(list(draw(scenes, size))) == pieces(scenes, size)


def test_small_images_are_the_large_ones_made_small() -> None:
    large = drawn(20, size=128).astype(float)
    small = drawn(20, size=32).astype(float)
    shrunk = large.reshape(60, 3, 32, 4, 32, 4).mean((3, 5))
    assert np.abs(shrunk - small).mean() < 2.5


def test_an_object_shows_in_its_own_image_and_not_before() -> None:
    scenes = draw_scenes(40, 5)
    images = drawn(40, seed=5).reshape(40, 3, 3, 64, 64).astype(int)
    for scene in range(40):
        for index in (1, 2):
            row, column = (int(v) for v in window_centre(scenes, scene, index, 64))
            changed = np.abs(images[scene, index] - images[scene, index - 1]).max(0) > 12
            assert changed.any(), (scene, index)
            rows, columns = np.nonzero(changed)
            assert np.abs(rows - row).max() < 20 and np.abs(columns - column).max() < 20


def test_the_colour_that_shows_is_the_one_that_the_label_names() -> None:
    scenes = draw_scenes(300, 7)
    images = drawn(300, seed=7).reshape(300, 3, 3, 64, 64)
    for scene in range(300):
        row, column = (int(v) for v in window_centre(scenes, scene, 0, 64))
        patch = images[scene, 0, :, row - 1 : row + 2, column - 1 : column + 2].mean((1, 2)) / 255
        hue, saturation, _ = colorsys.rgb_to_hsv(*patch)
        color = COLORS[scenes.names[scene, 0] % 8]
        if color == "gray":
            assert saturation < 0.15
            continue
        assert saturation > 0.3
        gap = {name: abs((360 * hue - angle + 180) % 360 - 180) for name, angle in HUES.items()}
        assert min(gap, key=lambda name: gap[name]) == color


def test_shapes_fill_their_boxes_as_they_should() -> None:
    """Silhouettes of the object at the centre: a sphere is an ellipse; the others are fuller."""
    scenes = draw_scenes(80, 2)
    images = drawn(80, seed=2, size=256).reshape(80, 3, 3, 256, 256)[:, 0].astype(int)
    fill: dict[int, list[float]] = {0: [], 1: [], 2: []}
    for name, image in zip(scenes.names[:, 0], images, strict=True):
        if name % 8 == 0:
            continue
        shown = image.max(0) - image.min(0) > 30
        rows, columns = np.nonzero(shown)
        box = (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
        fill[int(name) // 8].append(shown.sum() / box)
    assert np.mean(fill[1]) == pytest.approx(np.pi / 4, abs=0.03)
    assert np.mean(fill[2]) > 0.88
    assert 0.78 < np.mean(fill[0]) < 1
    assert np.std(fill[0]) > 2 * np.std(fill[2])


def test_edges_are_antialiased() -> None:
    """Across a sphere's outline there are values between the object's and the floor's."""
    scenes = draw_scenes(100, 0)
    scene = int(np.flatnonzero(scenes.names[:, 0] == NAMES.index("cyan sphere"))[0])
    image = render(scenes.part(scene, scene + 1), 64)[0].astype(int)
    chroma = image.max(0) - image.min(0)
    inside = np.median(chroma[chroma > 50])
    assert ((chroma > 0.25 * inside) & (chroma < 0.75 * inside)).sum() > 8


def test_drawn_images_have_the_statistics_of_i_clevr() -> None:
    """Mean color and contrast of the 18,009 real images: 124 123 122, and 19 18 18."""
    images = drawn(200).astype(float)
    assert np.allclose(images.mean((0, 2, 3)), [123.9, 123.1, 121.7], atol=3)
    assert np.allclose(images.std((0, 2, 3)), [19.0, 18.3, 18.4], atol=2)
