"""Validates the image size for a convolutional architecture."""

from __future__ import annotations

from collections.abc import Sequence

from ganforge.api import DataSpec, UserError


def image_side(nets: str, data: DataSpec, sides: Sequence[int], wish: str) -> int:
    """The side in pixels of the square images of `data`.

    `sides` are those that `nets` supports, ascending; `wish` describes them after "is not". Raises
    `UserError` for points, images that are not square, and other sides.
    """
    if not data.is_image:
        raise UserError(
            f"nets '{nets}': needs images, got points of {data.shape[0]} dimensions; use nets 'mlp'"
        )
    _, height, width = data.shape
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


def _nearest(side: int, sides: Sequence[int]) -> str:
    """The nearest supported sides below and above `side`: "32x32 or 64x64"."""
    below = [s for s in sides if s <= side][-1:]
    above = [s for s in sides if s >= side][:1]
    return " or ".join(f"{s}x{s}" for s in sorted({*below, *above}))
