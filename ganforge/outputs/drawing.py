"""Samples of any shape as images."""

from __future__ import annotations

from torch import Tensor

RGBA = 4


def as_pictures(samples: Tensor) -> Tensor:
    """Samples of rank 4 or 5, uint8 or floats in [-1, 1], as gray or RGB images [n, 1 or 3, H, W].

    Four channels are RGB and alpha, on white; of other numbers of channels the first three are shown, or
    the first one. Of volumes [n, C, D, H, W] the middle slice is shown.
    """
    if samples.ndim == 5:
        samples = samples[:, :, samples.shape[2] // 2]  # [n, C, H, W]
    channels = samples.shape[1]
    if channels in (1, 3):
        return samples
    if channels == RGBA:
        return _on_white(samples)
    return samples[:, :3] if channels > 3 else samples[:, :1]


def how_shown(shape: tuple[int, ...]) -> str | None:
    """In words, what an image of samples of this `shape` leaves out; None if nothing."""
    if len(shape) == 4:
        return "volumes are shown by their middle slice"
    if len(shape) == 3 and shape[0] not in (1, 3, RGBA):
        return f"of {shape[0]} channels, images show {'the first three' if shape[0] > 3 else 'the first'}"
    if len(shape) == 1 and shape[0] > 2:
        return f"of {shape[0]} coordinates, images show the first two"
    return None


def _on_white(samples: Tensor) -> Tensor:
    """[n, 4, H, W] -> [n, 3, H, W], of the same type."""
    whole = samples.float() / 255 if not samples.is_floating_point() else (samples.float() + 1) / 2
    color, alpha = whole[:, :3].clamp(0, 1), whole[:, 3:].clamp(0, 1)
    mixed = color * alpha + (1 - alpha)
    if samples.is_floating_point():
        return mixed * 2 - 1
    return (mixed * 255).round().to(samples.dtype)
