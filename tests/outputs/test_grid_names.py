"""Names around a sheet: where they are, and that they leave the images alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ganforge.outputs.grid import GAP, save_grid
from ganforge.outputs.labels import Names


def pixels(file: Path) -> np.ndarray:
    with Image.open(file) as image:
        return np.asarray(image)


def test_images_keep_their_pixels_to_the_right_of_and_below_their_names(tmp_path: Path) -> None:
    images = torch.randint(0, 200, (6, 3, 50, 64), dtype=torch.uint8)
    save_grid(images, tmp_path / "bare.png", 3)
    save_grid(
        images, tmp_path / "named.png", 3, Names(("red cube", "blue sphere", "$x$"), ("noise 1", "noise 2"))
    )
    bare, named = pixels(tmp_path / "bare.png"), pixels(tmp_path / "named.png")
    height, width = bare.shape[:2]
    # 6 pixels of paper on the right and at the bottom.
    top, left = named.shape[0] - height - 6, named.shape[1] - width - 6
    assert np.array_equal(named[top : top + height, left : left + width], bare)
    for index in range(3):
        assert named[:top, left + index * (64 + GAP) :][:, :64].min() < 100, "a column without a name"
    for index in range(2):
        assert named[top + index * (50 + GAP) :, :left][:50].min() < 100, "a row without a name"
    assert named[:top, :left].min() == named[top + height :].min() == 255


def test_small_images_are_enlarged_by_whole_pixels(tmp_path: Path) -> None:
    image = torch.randint(0, 200, (1, 1, 28, 28), dtype=torch.uint8)
    save_grid(image, tmp_path / "x.png", 1, Names(("7",)))
    found = pixels(tmp_path / "x.png")[-6 - 56 : -6, 6 : 6 + 56]
    assert np.array_equal(found, image[0, 0].numpy().repeat(2, 0).repeat(2, 1))


def test_a_name_that_is_wider_than_its_column_is_turned_or_cut(tmp_path: Path) -> None:
    images = torch.zeros(2, 1, 48, 48)
    sizes = {}
    for name in ("a b", "extraordinarily", "x" * 40, "x" * 4000):
        save_grid(images, tmp_path / "x.png", 2, Names((name, "b")))
        sizes[name] = pixels(tmp_path / "x.png").shape
    assert {width for _, width in sizes.values()} == {2 * 48 + GAP + 12}
    heights = [height for height, _ in sizes.values()]
    assert heights[0] < heights[1] < heights[2]
    assert heights[3] < heights[2] + 10
