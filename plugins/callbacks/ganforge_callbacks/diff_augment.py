"""Differentiable augmentation of everything that the discriminator sees, for training on little data.

Differentiable Augmentation for Data-Efficient GAN Training (Zhao, Liu, Lin, Zhu & Han, 2020),
arXiv:2006.10738, section 3.2; strengths as in the authors' code.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor

from ganforge.api import Callback, Field, Scheduled, UserError, rows

SHIFT, HOLE = 1 / 8, 1 / 2
"""Maximum shift, and side of the cutout, as fractions of the image's side."""


class DiffAugment(Callback):
    """Augments real images and fakes at random before they reach D, each sample independently; gradients
    pass through the augmentation to the generator."""

    type: Literal["diff_augment"] = "diff_augment"
    also_called: ClassVar[tuple[str, ...]] = ("diffaugment", "diffaug")
    source: ClassVar[str] = (
        "Differentiable Augmentation for Data-Efficient GAN Training (Zhao, Liu, Lin, Zhu & Han, 2020), "
        "arXiv:2006.10738, section 3.2"
    )

    policy: tuple[Literal["color", "translation", "cutout"], ...] = Field(
        ("color", "translation", "cutout"),
        description="Augmentations, in this order. color: brightness by up to +-0.5 (of the range -1 to 1), "
        "saturation by a factor from 0 to 2, contrast from 0.5 to 1.5. translation: by up to 1/8 of each "
        "side. cutout: a rectangle of half of each side becomes gray. [] = off.",
    )

    p: Scheduled = Field(
        1.0, ge=0, le=1, description="The probability with which an image is changed at all, by itself."
    )

    def augment(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """Images x [N, C, H, W] -> the same shape; raises `UserError` for points [N, D]."""
        if x.ndim != 4:
            raise UserError(
                f"callback 'diff_augment': needs images, got points of {x.shape[1]} dimensions; "
                "remove it from [[callbacks]]"
            )
        changes = {"color": _color, "translation": _translation, "cutout": _cutout}
        changed = x
        for name in self.policy:
            changed = changes[name](changed, rng)
        if not isinstance(self.p, Tensor) and self.p == 1:
            return changed

        def draw(n: int, rng: torch.Generator) -> Tensor:
            return torch.rand(n, 1, 1, 1, generator=rng, device=x.device)

        return torch.where(rows(rng, len(x), draw) < self.p, changed, x)


def _color(x: Tensor, rng: torch.Generator) -> Tensor:
    def draw(n: int, rng: torch.Generator) -> Tensor:
        return torch.rand(3, n, 1, 1, 1, generator=rng, device=x.device, dtype=x.dtype).movedim(1, 0)

    brightness, saturation, contrast = rows(rng, x.shape[0], draw).unbind(dim=1)  # [N, 1, 1, 1] each
    return recolor(x, brightness - 0.5, 2 * saturation, contrast + 0.5)


def _translation(x: Tensor, rng: torch.Generator) -> Tensor:
    most = [_round(SHIFT * side) for side in x.shape[2:]]
    down, right = (_integers(-m, m, x, rng) for m in most)
    return translate(x, down, right)


def _cutout(x: Tensor, rng: torch.Generator) -> Tensor:
    height, width = (_round(HOLE * side) for side in x.shape[2:])
    # The center is anywhere in the image, so that part of the hole may lie outside.
    top = _integers(0, x.shape[2] - height % 2, x, rng) - height // 2
    left = _integers(0, x.shape[3] - width % 2, x, rng) - width // 2
    return cut_out(x, top, left, height, width)


def recolor(x: Tensor, brightness: Tensor, saturation: Tensor, contrast: Tensor) -> Tensor:
    """x [N, C, H, W]: adds brightness, then scales the distance to each pixel's gray by saturation, then the
    distance to the image's mean by contrast; each [N, 1, 1, 1]."""
    gray = x.mean(dim=1, keepdim=True)  # [N, 1, H, W]
    mean = gray.mean(dim=(2, 3), keepdim=True)  # [N, 1, 1, 1]
    # All three at once: each is linear in x, and brightness shifts both means.
    offset = contrast * (1 - saturation) * gray + ((1 - contrast) * mean + brightness)  # [N, 1, H, W]
    return torch.addcmul(offset, contrast * saturation, x)


def translate(x: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """x [N, C, H, W] shifted by down and right [N] pixels; the uncovered border is 0."""
    n, channels, height, width = x.shape
    row = torch.arange(height, device=x.device) - down[:, None]  # [N, H]
    column = torch.arange(width, device=x.device) - right[:, None]  # [N, W]
    inside = ((row >= 0) & (row < height))[:, :, None] & ((column >= 0) & (column < width))[
        :, None
    ]  # [N, H, W]
    pixel = row.clamp(0, height - 1)[:, :, None] * width + column.clamp(0, width - 1)[:, None]  # [N, H, W]
    first = torch.arange(n, device=x.device)[:, None, None] * (height * width)  # [N, 1, 1]
    # Pixels as rows of channels: a view of channels-last images, and stays one.
    pixels = x.permute(0, 2, 3, 1).reshape(-1, channels)  # [N H W, C]
    moved = pixels.index_select(0, (pixel + first).flatten()).reshape(
        n, height, width, channels
    )  # [N, H, W, C]
    # A product, because masked_fill does not keep channels_last.
    return moved.permute(0, 3, 1, 2) * inside[:, None]  # [N, C, H, W]


def cut_out(x: Tensor, top: Tensor, left: Tensor, height: int, width: int) -> Tensor:
    """x [N, C, H, W] with 0 in the rectangle that starts at row top and column left [N]."""
    row = torch.arange(x.shape[2], device=x.device) - top[:, None]  # [N, H]
    column = torch.arange(x.shape[3], device=x.device) - left[:, None]  # [N, W]
    hole = ((row >= 0) & (row < height))[:, :, None] & ((column >= 0) & (column < width))[
        :, None
    ]  # [N, H, W]
    return x * ~hole[:, None]


def _round(value: float) -> int:
    """To the nearest integer, halves upwards."""
    return int(value + 0.5)


def _integers(low: int, high: int, x: Tensor, rng: torch.Generator) -> Tensor:
    """One integer per image, [N], from low to high inclusive."""

    def draw(n: int, rng: torch.Generator) -> Tensor:
        return torch.randint(low, high + 1, (n,), generator=rng, device=x.device)

    return rows(rng, x.shape[0], draw)
