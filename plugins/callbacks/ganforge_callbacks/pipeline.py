"""The random draws of the augmentation pipeline of StyleGAN2-ADA, as matrices: where an image goes, and
what becomes of its colors.

Training Generative Adversarial Networks with Limited Data (Karras et al., 2020), arXiv:2006.06676,
appendix B, with the ranges that are given there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from ganforge.api import UserError, rows
from ganforge_callbacks.geometry import warp
from ganforge_callbacks.precision import full_precision

Transform = Literal[
    "xflip", "rotate90", "xint", "scale", "rotate", "aniso", "xfrac",
    "brightness", "contrast", "lumaflip", "hue", "saturation", "cutout",
]  # fmt: skip
BLIT: tuple[Transform, ...] = ("xflip", "rotate90", "xint")
GEOMETRIC: tuple[Transform, ...] = ("scale", "rotate", "aniso", "xfrac")
COLOR: tuple[Transform, ...] = ("brightness", "contrast", "lumaflip", "hue", "saturation")
BGC: tuple[Transform, ...] = BLIT + GEOMETRIC + COLOR

SHIFT = 1 / 8
"""Maximum shift by whole pixels, and standard deviation of that by fractions, in sides of the image."""
SCALE_STD, ANISO_STD = 0.2, 0.2
"""Of the logarithm to base 2 of the factors on size."""
BRIGHTNESS_STD, CONTRAST_STD, SATURATION_STD = 0.2, 0.5, 1.0
"""Of what is added, and of the logarithms to base 2 of the factors; images are in [-1, 1]."""
HOLE = 1 / 2
"""Sides of the cutout, in sides of the image."""


class Gates:
    """For each image whether a transform applies, and its random numbers; the same draws for any p."""

    def __init__(self, n: int, strengths: Mapping[Transform, float], p: float | Tensor, like: Tensor) -> None:
        """`strengths`: transform -> factor on p."""
        self.n, self.strengths, self.p, self.like = n, strengths, p, like
        self.rng: torch.Generator | None = None

    def wants(self, *names: Transform) -> bool:
        """Whether any of these may apply at all."""
        return any(self.strengths.get(name, 0.0) > 0 for name in names)

    def chance(self, name: Transform) -> float | Tensor:
        """The probability that the transform applies."""
        return self.strengths.get(name, 0.0) * self.p

    def uniform(self, count: int = 1) -> Tensor:
        """[N, count] from U(0, 1)."""
        return self._drawn(torch.rand, count)

    def normal(self, count: int = 1) -> Tensor:
        """[N, count] from N(0, 1)."""
        return self._drawn(torch.randn, count)

    def choose(self, value: Tensor, chance: float | Tensor, otherwise: float) -> Tensor:
        """`value` [N, ...] with that probability, `otherwise` without."""
        return torch.where(self.uniform() < chance, value, otherwise)

    def number(self, value: float | Tensor) -> Tensor:
        """A scalar on the device; a kernel writes it, as a recorded update cannot copy from the host."""
        if isinstance(value, Tensor):
            return value.to(self.like.dtype)
        return torch.full((), value, dtype=self.like.dtype, device=self.like.device)

    def _drawn(self, kind: object, count: int) -> Tensor:
        assert self.rng is not None and callable(kind)

        def draw(n: int, rng: torch.Generator) -> Tensor:
            numbers: Tensor = kind(n, count, generator=rng, device=self.like.device)
            return numbers

        return rows(self.rng, self.n, draw).to(self.like.dtype)


def augmented(
    x: Tensor, strengths: Mapping[Transform, float], p: float | Tensor, rng: torch.Generator
) -> Tensor:
    """x [N, C, H, W] in [-1, 1], each image transformed by itself: each transform applies with probability
    p times its strength. Differentiable any number of times."""
    wide = x if x.dtype == torch.float64 else x.float()
    gates = Gates(len(x), strengths, p, wide)
    gates.rng = rng
    if gates.wants(*BLIT, *GEOMETRIC):
        wide = warp(wide, geometric(gates, x.shape[2], x.shape[3]))
    if gates.wants(*COLOR):
        wide = recolored(wide, color(gates, x.shape[1]))
    if gates.wants("cutout"):
        wide = wide * _outside_the_hole(gates, x.shape[2], x.shape[3])
    return wide.to(x.dtype)


def geometric(gates: Gates, height: int, width: int) -> Tensor:
    """[N, 3, 3]: from output pixels to those they come from. Matrices are about the image's center."""
    inverse = _eye(gates, 3)
    if gates.wants("xflip"):
        flip = gates.choose((gates.uniform() * 2).floor(), gates.chance("xflip"), 0.0)
        inverse = inverse @ _scaling(1 - 2 * flip, torch.ones_like(flip))
    if gates.wants("rotate90"):
        turns = gates.choose((gates.uniform() * 4).floor(), gates.chance("rotate90"), 0.0)
        inverse = inverse @ _quarter_turns(turns)
    size = torch.stack([gates.number(width), gates.number(height)])
    if gates.wants("xint"):
        shift = gates.choose((gates.uniform(2) * 2 - 1) * SHIFT, gates.chance("xint"), 0.0)
        inverse = inverse @ _translation(-(shift * size).round())
    if gates.wants("scale"):
        factor = gates.choose(torch.exp2(gates.normal() * SCALE_STD), gates.chance("scale"), 1.0)
        inverse = inverse @ _scaling(1 / factor, 1 / factor)
    # Rotated before and after the anisotropic scaling, so that either or both happen with probability p.
    rotates = 1 - (1 - gates.number(gates.chance("rotate"))).clamp(0, 1).sqrt()
    if gates.wants("rotate"):
        inverse = inverse @ _rotation(gates.choose((gates.uniform() * 2 - 1) * math.pi, rotates, 0.0))
    if gates.wants("aniso"):
        factor = gates.choose(torch.exp2(gates.normal() * ANISO_STD), gates.chance("aniso"), 1.0)
        inverse = inverse @ _scaling(1 / factor, factor)
    if gates.wants("rotate"):
        inverse = inverse @ _rotation(gates.choose((gates.uniform() * 2 - 1) * math.pi, rotates, 0.0))
    if gates.wants("xfrac"):
        shift = gates.choose(gates.normal(2) * SHIFT, gates.chance("xfrac"), 0.0)
        inverse = inverse @ _translation(-shift * size)
    center = ((size - 1) / 2).expand(gates.n, 2)
    return _translation(center) @ inverse @ _translation(-center)


def color(gates: Gates, channels: int) -> Tensor:
    """[N, 4, 4]: from homogeneous colors (r, g, b, 1) to new ones. Raises `UserError` for images that are
    neither gray nor of three colors."""
    if channels not in (1, 3):
        raise UserError(
            f"transforms of color need images of 1 or 3 channels, got {channels}; leave "
            f"{', '.join(COLOR)} out of the callback's transforms"
        )
    matrix = _eye(gates, 4)
    gray = matrix.new_zeros(4, 4)
    gray[:3, :3] = 1 / 3
    if gates.wants("brightness"):
        added = gates.choose(gates.normal() * BRIGHTNESS_STD, gates.chance("brightness"), 0.0)
        shift = matrix.clone()
        shift[:, :3, 3] = added
        matrix = shift @ matrix
    if gates.wants("contrast"):
        factor = gates.choose(torch.exp2(gates.normal() * CONTRAST_STD), gates.chance("contrast"), 1.0)
        matrix = torch.cat([factor.expand(-1, 3), torch.ones_like(factor)], 1)[:, :, None] * matrix
    if gates.wants("lumaflip"):
        flip = gates.choose((gates.uniform() * 2).floor(), gates.chance("lumaflip"), 0.0)
        matrix = matrix - 2 * flip[:, :, None] * (gray @ matrix)
    if channels == 1:
        return matrix
    if gates.wants("hue"):
        angle = gates.choose((gates.uniform() * 2 - 1) * math.pi, gates.chance("hue"), 0.0)
        matrix = _around_gray(angle, gray) @ matrix
    if gates.wants("saturation"):
        factor = gates.choose(torch.exp2(gates.normal() * SATURATION_STD), gates.chance("saturation"), 1.0)
        kept = gray @ matrix
        matrix = kept + factor[:, :, None] * (matrix - kept)
    return matrix


def recolored(x: Tensor, matrix: Tensor) -> Tensor:
    """x [N, C, H, W] under color matrices [N, 4, 4]; of gray images, the mean of the three colors."""
    linear, added = matrix[:, :3, :3], matrix[:, :3, 3:]
    if x.shape[1] == 1:
        linear, added = linear.sum(2, keepdim=True).mean(1, keepdim=True), added.mean(1, keepdim=True)
    with full_precision(x):
        return (linear @ x.flatten(2) + added).reshape(x.shape)


def _outside_the_hole(gates: Gates, height: int, width: int) -> Tensor:
    """[N, 1, H, W]: 0 in a rectangle of half of each side around a random place, else 1."""
    center = gates.uniform(2)
    half = gates.choose(torch.full_like(center[:, :1], HOLE / 2), gates.chance("cutout"), 0.0)
    inside = []
    for axis, size in enumerate((height, width)):
        place = (torch.arange(size, device=center.device, dtype=center.dtype) + 0.5) / size
        inside.append((place - center[:, axis : axis + 1]).abs() < half)  # [N, H], [N, W]
    return (~(inside[0][:, :, None] & inside[1][:, None]))[:, None].to(center.dtype)


def _eye(gates: Gates, size: int) -> Tensor:
    return torch.eye(size, dtype=gates.like.dtype, device=gates.like.device).expand(gates.n, size, size)


def _rows(*entries: Tensor) -> Tensor:
    """[N, 2, 3] of six [N, 1], and the last row of a homogeneous matrix: [N, 3, 3]."""
    zero, one = torch.zeros_like(entries[0]), torch.ones_like(entries[0])
    return torch.cat([*entries, zero, zero, one], 1).reshape(-1, 3, 3)


def _scaling(x: Tensor, y: Tensor) -> Tensor:
    zero = torch.zeros_like(x)
    return _rows(x, zero, zero, zero, y, zero)


def _translation(by: Tensor) -> Tensor:
    """By (x, y) [N, 2]."""
    x, y = by[:, :1], by[:, 1:]
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    return _rows(one, zero, x, zero, one, y)


def _rotation(angle: Tensor) -> Tensor:
    """By [N, 1] radians, from x toward y."""
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    return _rows(cos, -sin, zero, sin, cos, zero)


def _quarter_turns(turns: Tensor) -> Tensor:
    """The same by whole quarter turns [N, 1], with entries that are exactly -1, 0 and 1."""
    cos, sin = (_cosine_of_quarters(turns), _cosine_of_quarters(turns - 1))
    zero = torch.zeros_like(turns)
    return _rows(cos, -sin, zero, sin, cos, zero)


def _cosine_of_quarters(turns: Tensor) -> Tensor:
    within = turns.remainder(4)
    return (within - 2).abs() - 1


def _around_gray(angle: Tensor, gray: Tensor) -> Tensor:
    """[N, 4, 4]: colors rotated about the axis of grays by [N, 1] radians (Rodrigues' formula)."""
    one = torch.eye(4, dtype=gray.dtype, device=gray.device)
    # (r, g, b) -> (g, b, r), minus the other way round: the cross product with the axis, but for its length.
    cycle = torch.zeros_like(one)
    cycle[:3, :3] = one[:3, :3].roll(-1, 0)
    cross = (cycle.T - cycle) / math.sqrt(3)
    cos, sin = angle.cos()[:, :, None], angle.sin()[:, :, None]
    rotated = cos * (one - gray) + sin * cross + gray
    rotated[:, 3, 3] = 1.0
    return rotated
