"""The pipeline of `augment` and `ada`: places and colors by formula, how often, gradients, and invisibility."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from ganforge.api import UserError
from ganforge_callbacks.ada import Ada
from ganforge_callbacks.augment import Augment
from ganforge_callbacks.geometry import bilinear, gathered, warp
from ganforge_callbacks.pipeline import BGC, Gates, Transform, augmented, color, geometric, recolored

pytestmark = pytest.mark.numeric


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(*shape: int) -> Tensor:
    return torch.rand(shape, generator=rng(), dtype=torch.float64) * 2 - 1


def waves(x: Tensor, y: Tensor, height: int, width: int) -> Tensor:
    """Slow waves that continue beyond the edges as their own mirror image."""
    return torch.cos(math.pi * (x + 0.5) / width) + 0.5 * torch.cos(2 * math.pi * (y + 0.5) / height)


def about_center(matrix: list[list[float]], height: int, width: int) -> Tensor:
    center = torch.eye(3, dtype=torch.float64)
    center[:2, 2] = torch.tensor([(width - 1) / 2, (height - 1) / 2])
    return center @ torch.tensor(matrix, dtype=torch.float64) @ center.inverse()


TURN = [[math.cos(0.7), -math.sin(0.7), 0.3], [math.sin(0.7), math.cos(0.7), -1.2], [0, 0, 1]]


@pytest.mark.parametrize(
    "matrix",
    [
        TURN,
        [[-1, 0, 0], [0, 1, 0], [0, 0, 1]],
        [[0, 1, 0], [-1, 0, 0], [0, 0, 1]],
        [[1.4, 0.2, 40.0], [0, 0.8, -30.0], [0, 0, 1]],
    ],
)
def test_an_image_is_seen_where_its_matrix_says(matrix: list[list[float]]) -> None:
    height, width = 32, 40
    y, x = torch.meshgrid(torch.arange(height).double(), torch.arange(width).double(), indexing="ij")
    inverse = about_center(matrix, height, width)
    found = warp(waves(x, y, height, width)[None, None], inverse[None])[0, 0]
    places = inverse @ torch.stack([x.flatten(), y.flatten(), torch.ones(height * width).double()])
    want = waves(places[0], places[1], height, width).reshape(height, width)
    torch.testing.assert_close(found, want, atol=0.02, rtol=0)


def test_what_is_not_moved_or_moved_by_whole_pixels_stays_exact() -> None:
    x = images(2, 3, 24, 27)
    inverse = torch.eye(3, dtype=torch.float64).repeat(2, 1, 1)
    torch.testing.assert_close(warp(x, inverse), x, atol=1e-6, rtol=0)
    inverse[1, 0, 2], inverse[1, 1, 2] = 2, -3
    # The filter is not quite symmetric, so nearer to an edge mirror images differ a little.
    moved = warp(x, inverse)[1, :, 9:-6, 6:-9]
    torch.testing.assert_close(moved, x[1, :, 6:-9, 8:-7], atol=1e-6, rtol=0)


def test_both_ways_to_sample_agree_in_values_and_in_both_derivatives() -> None:
    image, weight = images(2, 3, 7, 6).requires_grad_(True), images(2, 3, 5, 4)
    row, column = (torch.rand(2, 5, 4, generator=rng(i), dtype=torch.float64) * (5 - i) for i in (0, 1))
    found = []
    for way in (bilinear, gathered):
        value = way(image, row, column)
        (first,) = torch.autograd.grad((value**3 * weight).sum(), image, create_graph=True)
        (second,) = torch.autograd.grad(first.square().sum(), image)
        found.append((value, first, second))
    i, j = int(row[1, 2, 3]), int(column[1, 2, 3])
    down, right = row[1, 2, 3] - i, column[1, 2, 3] - j
    corners = image[1, :, i : i + 2, j : j + 2]
    want = (1 - down) * (corners[:, 0, 0] * (1 - right) + corners[:, 0, 1] * right) + down * (
        corners[:, 1, 0] * (1 - right) + corners[:, 1, 1] * right
    )
    torch.testing.assert_close(found[0][0][1, :, 2, 3], want)
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


class Fixed(Gates):
    """Everything applies, with these numbers in their order."""

    def __init__(self, numbers: Iterator[tuple[float, ...]], n: int = 1) -> None:
        super().__init__(n, dict.fromkeys(BGC, 1.0), 1.0, torch.zeros(1, dtype=torch.float64))
        self.numbers = numbers

    def uniform(self, count: int = 1) -> Tensor:
        return torch.tensor([next(self.numbers)], dtype=torch.float64)

    normal = uniform

    def choose(self, value: Tensor, chance: float | Tensor, otherwise: float) -> Tensor:
        return value


def rotation(angle: float) -> Tensor:
    return torch.tensor(
        [[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0], [0, 0, 1]]
    ).double()


def scaling(x: float, y: float) -> Tensor:
    return torch.diag(torch.tensor([x, y, 1.0]).double())


def translation(x: float, y: float) -> Tensor:
    return torch.tensor([[1, 0, x], [0, 1, y], [0, 0, 1]]).double()


def test_a_place_is_what_all_transforms_make_of_it_in_their_order() -> None:
    height, width = 20, 30
    numbers = iter([(0.7,), (0.3,), (0.9, 0.2), (0.5,), (0.6,), (-0.4,), (0.1,), (0.3, -0.6)])
    inverse = geometric(Fixed(numbers), height, width)[0]
    assert next(numbers, None) is None
    forward = scaling(-1, 1)  # 0.7: flipped
    forward = rotation(-math.pi / 2) @ forward  # 0.3: one quarter
    forward = translation(round(0.8 / 8 * width), round(-0.6 / 8 * height)) @ forward
    forward = scaling(2**0.1, 2**0.1) @ forward
    forward = rotation(-0.2 * math.pi) @ forward
    forward = scaling(2**-0.08, 2**0.08) @ forward
    forward = rotation(0.8 * math.pi) @ forward
    forward = translation(0.3 / 8 * width, -0.6 / 8 * height) @ forward
    center = translation((width - 1) / 2, (height - 1) / 2)
    torch.testing.assert_close(inverse, center @ forward.inverse() @ center.inverse())


def test_a_color_is_what_all_transforms_make_of_it_in_their_order() -> None:
    x = images(1, 3, 2, 2)
    got = recolored(x, color(Fixed(iter([(0.5,), (-0.8,), (0.6,), (0.75,), (0.3,)])), 3))[0]
    want = (x[0] + 0.1) * 2**-0.4
    want = want - 2 * want.mean(0)  # 0.6: mirrored at the plane of no gray
    gray = want.mean(0, keepdim=True)
    axis = torch.ones(3).double() / math.sqrt(3)
    angle, chroma = 0.5 * math.pi, want - gray
    turned = torch.linalg.cross(axis[:, None, None].expand_as(chroma), chroma, dim=0)
    chroma = chroma * math.cos(angle) + turned * math.sin(angle)
    torch.testing.assert_close(got, gray + chroma * 2**0.3)
    # Of a gray image, what becomes of (v, v, v).
    gray_only = recolored(gray[None], color(Fixed(iter([(0.5,), (-0.8,), (0.6,)])), 1))[0]
    torch.testing.assert_close(gray_only, -(gray + 0.1) * 2**-0.4)


SHARES: dict[Transform, float] = {
    "xflip": 1 / 2, "rotate90": 3 / 4, "xint": 1.0, "scale": 1.0, "rotate": 1.0, "aniso": 1.0, "xfrac": 1.0,
    "brightness": 1.0, "contrast": 1.0, "lumaflip": 1 / 2, "hue": 1.0, "saturation": 1.0, "cutout": 1.0,
}  # fmt: skip
"""The share of a transform's draws that change anything."""


@pytest.mark.parametrize("name", SHARES)
def test_how_often_images_change(name: Transform) -> None:
    n, p = 1500, 0.3
    x = images(1, 3, 16, 16).expand(n, 3, 16, 16).float()
    changed = (augmented(x, {name: 1.0}, p, rng(1)) - x).abs().amax((1, 2, 3)) > 1e-4
    # Whole pixels: a shift of less than half of one, along both axes, is none.
    share = p * (SHARES[name] - (1 / 4 if name == "xint" else 0) ** 2)
    assert float(changed.double().mean()) == pytest.approx(share, abs=5 * math.sqrt(share * (1 - share) / n))
    assert not bool((augmented(x[:64], {name: 1.0}, 0.0, rng(1)) - x[:64]).abs().max() > 1e-5)


def test_a_strength_is_a_factor_on_the_probability() -> None:
    x = images(1, 3, 8, 8).expand(4000, 3, 8, 8).float()
    half = augmented(x, {"hue": 0.5}, 0.6, rng(2))
    assert torch.equal(half, augmented(x, {"hue": 1.0}, 0.3, rng(2)))


def corner(n: int) -> Tensor:
    """Images that no flip, turn or inversion leaves as they are."""
    x = torch.full((n, 3, 16, 16), -0.8)
    x[:, 0, 1:6, 2:12] = 0.9
    x[:, 1, 3:10, 9:13] = 0.4
    return x


OTHERS = {
    "xflip": lambda x: x.flip(3),
    "rotate90": lambda x: x.rot90(1, (2, 3)),
    "lumaflip": lambda x: x - 2 * x.mean(1, keepdim=True),
    "rotate": lambda x: x.rot90(1, (2, 3)),
    "hue": lambda x: x.roll(1, 1),
    "xint": lambda x: x.roll(2, 3),
    "brightness": lambda x: x + 0.2,
    "contrast": lambda x: x * 1.2,
    "saturation": lambda x: 1.5 * x - 0.5 * x.mean(1, keepdim=True),
}
GROUPS = {"xflip", "rotate90", "lumaflip", "rotate", "hue"}
"""Drawn uniformly from all that there are, so that at p = 1 nothing tells which came before."""


def distance(a: Tensor, b: Tensor, line: Tensor) -> float:
    """In standard errors: how far the means of two sets lie apart along the line from the one's original to
    the other's."""
    projected = [(each * line).flatten(1).sum(1).double() for each in (a, b)]
    gap = projected[0].mean() - projected[1].mean()
    return float(gap.abs() / math.sqrt(sum(float(each.var()) / len(each) for each in projected)))


@pytest.mark.parametrize("name", OTHERS)
def test_below_a_p_of_one_a_generator_of_transformed_images_is_told_from_the_data(name: Transform) -> None:
    """Section 2.2: augmented, the distributions of images and of transformed images differ at p = 0.8, so
    that a generator gains nothing by transforming; at p = 1 they are the same for a transform that is drawn
    from a group, and nothing would keep the augmentation out of what is generated."""
    n = 1500
    real, leaked = corner(n), OTHERS[name](corner(n))

    def gap(p: float, strengths: dict[Transform, float]) -> float:
        shown = [augmented(each, strengths, p, rng(seed)) for seed, each in enumerate((real, leaked))]
        return distance(*shown, (real - leaked)[:1])

    assert gap(0.8, {name: 1.0}) > 10
    if name in GROUPS:
        assert gap(1.0, {name: 1.0}) < 4


def test_gradients_pass_twice() -> None:
    x = images(2, 3, 6, 5).requires_grad_(True)

    def transformed(x: Tensor) -> Tensor:
        return augmented(x, {**dict.fromkeys(BGC, 1.0), "cutout": 1.0}, 0.9, rng(8)) ** 2

    assert torch.autograd.gradcheck(transformed, (x,))
    assert torch.autograd.gradgradcheck(transformed, (x,))


def test_refusals() -> None:
    for callback in (Augment(), Ada()):
        with pytest.raises(UserError) as refusal:
            callback.augment(torch.zeros(4, 2), rng())
        assert str(refusal.value) == (
            f"callback '{callback.type}': expected images, got samples of shape [2]; remove it from [[callbacks]]"
        )
    with pytest.raises(UserError) as refusal:
        Augment().augment(torch.zeros(4, 2, 8, 8), rng())
    assert str(refusal.value) == (
        "transforms of color need images of 1 or 3 channels, got 2; leave brightness, contrast, lumaflip, hue, "
        "saturation out of the callback's transforms"
    )
    assert Augment(transforms={"xflip": 1.0}).augment(torch.zeros(4, 2, 8, 8), rng()).shape == (4, 2, 8, 8)
