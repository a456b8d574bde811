"""Pictures of samples: every pixel where and what it should be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganforge.outputs.drawing import as_pictures, how_shown
from ganforge.outputs.grid import save_grid, save_plane, save_png, save_sample, to_uint8


def test_every_level_survives() -> None:
    levels = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    # The map of the field: 0 -> -1, 255 -> 1.
    assert torch.equal(to_uint8(levels.double() / 127.5 - 1), levels)
    assert torch.equal(to_uint8(levels.float() / 127.5 - 1), levels)


def test_what_lies_outside_is_clamped_and_nan_is_black() -> None:
    values = torch.tensor([-9.0, -1.0, 0.0, 1.0, 9.0, torch.inf, -torch.inf, torch.nan])
    assert to_uint8(values.reshape(1, 1, 2, 4)).flatten().tolist() == [0, 0, 128, 255, 255, 255, 0, 0]


@pytest.mark.parametrize("channels", [1, 3])
def test_grid_has_eight_a_row_and_a_gap_of_two(tmp_path: Path, channels: int) -> None:
    images = torch.randint(0, 256, (11, channels, 5, 7), dtype=torch.uint8)
    file = tmp_path / "grid.png"
    save_grid(images.float() / 127.5 - 1, file)

    pixels = np.asarray(Image.open(file)).reshape(5 * 2 + 2, 7 * 8 + 2 * 7, channels)
    expected = np.full_like(pixels, 255)
    for index in range(11):
        row, column = divmod(index, 8)
        block = images[index].numpy().transpose(1, 2, 0)
        expected[row * 7 : row * 7 + 5, column * 9 : column * 9 + 7] = block
    assert np.array_equal(pixels, expected)
    assert [item.name for item in tmp_path.iterdir()] == ["grid.png"]


def test_a_small_grid_is_no_wider_than_its_images(tmp_path: Path) -> None:
    save_grid(torch.zeros(3, 1, 4, 4), tmp_path / "grid.png")
    assert Image.open(tmp_path / "grid.png").size == (3 * 4 + 2 * 2, 4)


@pytest.mark.parametrize("channels", [1, 3])
def test_png_is_lossless(tmp_path: Path, channels: int) -> None:
    image = torch.randint(0, 256, (channels, 9, 6), dtype=torch.uint8)
    save_png(image, tmp_path / "a.png")
    save_png(image.float() / 127.5 - 1, tmp_path / "b.png")
    for name in ("a.png", "b.png"):
        back = np.asarray(Image.open(tmp_path / name)).reshape(9, 6, channels)
        assert np.array_equal(back, image.numpy().transpose(1, 2, 0))


@pytest.mark.parametrize("bytes_", [True, False])
def test_samples_of_other_shapes_are_shown_by_what_fits(bytes_: bool) -> None:
    samples = torch.randint(
        0, 256, (2, 5, 4, 4), generator=torch.Generator().manual_seed(1), dtype=torch.uint8
    )
    if not bytes_:
        samples = samples / 127.5 - 1
    assert torch.equal(as_pictures(samples), samples[:, :3])
    assert torch.equal(as_pictures(samples[:, :2]), samples[:, :1])
    assert torch.equal(as_pictures(samples[:, :3, None].expand(2, 3, 6, 4, 4)), samples[:, :3])
    clear, opaque = samples[:, :4].clone(), samples[:, :4].clone()
    clear[:, 3], opaque[:, 3] = (0, 255) if bytes_ else (-1, 1)
    white = torch.full_like(samples[:, :3], 255 if bytes_ else 1)
    torch.testing.assert_close(as_pictures(clear), white)
    torch.testing.assert_close(as_pictures(opaque), samples[:, :3])
    assert how_shown((5, 4, 4)) == "of 5 channels, images show the first three"
    assert how_shown((3, 4, 4)) is how_shown((2,)) is how_shown((1, 64)) is None


def test_waves_are_drawn_as_curves(tmp_path: Path) -> None:
    waves = torch.randn(40, 2, 64)
    save_grid(waves, tmp_path / "waves.png")
    save_grid(2 * waves.flip(2), tmp_path / "others.png")
    pixels = np.asarray(Image.open(tmp_path / "waves.png").convert("L"))
    assert (pixels < 200).mean() > 0.01
    assert (tmp_path / "waves.png").read_bytes() != (tmp_path / "others.png").read_bytes()


def test_a_sample_is_a_picture_or_numbers(tmp_path: Path) -> None:
    for channels in (1, 3, 4):
        file = save_sample(torch.zeros(channels, 5, 6), tmp_path / f"image.{channels}")
        assert file.name == f"image.{channels}.png" and Image.open(file).size == (6, 5)
    wave = torch.randn(2, 64)
    file = save_sample(wave, tmp_path / "wave")
    assert file.name == "wave.npy" and np.array_equal(np.load(file), wave.numpy())


@pytest.mark.parametrize("width", [1, 2, 5])
def test_points_are_drawn(tmp_path: Path, width: int) -> None:
    points = torch.randn(200, width)
    points[0, 0] = torch.nan
    save_grid(points, tmp_path / "points.png")
    save_grid(points + 50, tmp_path / "moved.png")
    pixels = np.asarray(Image.open(tmp_path / "points.png").convert("L"))
    # Something is drawn in the middle, and where the points are is told.
    assert (pixels[200:550, 200:550] < 250).any()
    assert (tmp_path / "points.png").read_bytes() != (tmp_path / "moved.png").read_bytes()


def test_a_failed_write_leaves_the_old_picture(tmp_path: Path) -> None:
    target = tmp_path / "missing" / "grid.png"
    with pytest.raises(OSError) as caught:
        save_grid(torch.zeros(1, 1, 2, 2), target)
    assert caught.value.filename == str(target)


def test_points_are_drawn_over_data_and_contours(tmp_path: Path) -> None:
    points, data = torch.randn(50, 2), torch.randn(60, 2)
    slope = torch.linspace(-1, 1, 16).expand(16, 16)
    save_plane(points, data, slope, 3.0, tmp_path / "right.png")
    save_plane(points, data, slope.flip(1), 3.0, tmp_path / "left.png")
    right, left = (
        np.asarray(Image.open(tmp_path / name).convert("L")).astype(float)
        for name in ("right.png", "left.png")
    )
    # Brighter where the critic's logit is larger: the two pictures are each other's mirror there.
    height, width = right.shape
    row = slice(height // 2 - 40, height // 2 + 40)
    east, west = slice(int(0.6 * width), int(0.7 * width)), slice(int(0.15 * width), int(0.25 * width))
    assert right[row, east].mean() > right[row, west].mean() + 20
    assert left[row, west].mean() > left[row, east].mean() + 20
