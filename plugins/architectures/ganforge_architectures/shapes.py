"""Validates the image size for a convolutional architecture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ganforge.api import DataSpec, UserError


def image_side(nets: str, spec: DataSpec, sides: Sequence[int], wish: str) -> int:
    """The side in pixels of the square images of `data`.

    `sides` are those that `nets` supports, ascending; `wish` describes them after "is not". Raises
    `UserError` for points, images that are not square, and other sides.
    """
    if not spec.is_image:
        raise UserError(
            f"nets '{nets}': needs images, got points of {spec.shape[0]} dimensions; use nets 'mlp'"
        )
    _, height, width = spec.shape
    if height != width:
        raise UserError(
            f"nets '{nets}': image size {height}x{width} (height x width) is not square; resize the data to "
            f"{_nearest(min(height, width), sides)}, or use nets 'mlp'"
        )
    if height not in sides:
        raise UserError(
            f"nets '{nets}': image size {height}x{width} is not {wish}; resize the data to "
            f"{_nearest(height, sides)}, or use nets 'mlp'"
        )
    return height


@dataclass(frozen=True)
class Grid:
    """How often images can be halved, and what is left of them then."""

    base: tuple[int, int]
    """Height and width in pixels after all halvings; the shorter side has 4 to 7."""
    halvings: int

    @property
    def shorter(self) -> int:
        """The shorter side of the images."""
        return min(self.base) << self.halvings


BASES = range(4, 8)
MIN_HALVINGS = 2


def image_grid(nets: str, spec: DataSpec) -> Grid:
    """The grid of the images of `data`, square or not: base x 2^k in both directions, with the same k >= 2.

    Raises `UserError` for points, and for images of another size, with the nearest sizes that have a grid.
    """
    if not spec.is_image:
        raise UserError(
            f"nets '{nets}': needs images, got points of {spec.shape[0]} dimensions; use nets 'mlp'"
        )
    _, height, width = spec.shape
    shorter = min(height, width)
    halvings = _halvings(shorter)
    unit = 1 << halvings if halvings is not None else 0
    if halvings is not None and height % unit == 0 and width % unit == 0:
        return Grid((height // unit, width // unit), halvings)
    raise UserError(
        f"nets '{nets}': image size {height}x{width} (height x width) is not base x 2^k, with one k >= 2 "
        "for both sides and a base of 4 to 7 for the shorter one; resize the data to "
        f"{' or '.join(_grids_near(height, width))}, or use nets 'mlp'"
    )


def _halvings(side: int) -> int | None:
    """How often a shorter side is halved; None where that does not lead to a base."""
    for halvings in range(MIN_HALVINGS, side.bit_length()):
        if side % (1 << halvings) == 0 and side >> halvings in BASES:
            return halvings
    return None


def _grids_near(height: int, width: int) -> list[str]:
    """The sizes of nearly this aspect whose shorter sides are the nearest below and above."""
    shorter, longer = sorted((height, width))
    known = [base << halvings for halvings in range(MIN_HALVINGS, 12) for base in BASES]
    below = [side for side in known if side <= shorter][-1:]
    above = [side for side in known if side >= shorter][:1]
    found = []
    for side in sorted({*below, *above}):
        halvings = _halvings(side)
        assert halvings is not None
        unit = 1 << halvings
        other = max(side, round(longer * side / shorter / unit) * unit)
        found.append(f"{other}x{side}" if height > width else f"{side}x{other}")
    return found


def _nearest(side: int, sides: Sequence[int]) -> str:
    """The nearest supported sides below and above `side`: "32x32 or 64x64"."""
    below = [s for s in sides if s <= side][-1:]
    above = [s for s in sides if s >= side][:1]
    return " or ".join(f"{s}x{s}" for s in sorted({*below, *above}))
