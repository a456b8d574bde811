"""Data sets of images, and how training varies these."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from ganforge.api.advice import Advice, RunView
from ganforge.api.data import Dataset, Samples


class ImageDataset(Dataset):
    """A data set of images, with the random flips and crops that training may apply. `build` returns
    `self.samples(images, labels)`."""

    mirror: bool = Field(
        False, description="Flip images left to right at random during training; false = never."
    )
    random_crop: int = Field(
        0,
        ge=0,
        lt=1024,
        description="During training, pad by this many pixels (reflect), then take a random crop of the "
        "original size; 0 = off. Must be smaller than the images.",
    )

    def samples(self, images: Tensor, labels: Tensor | None = None, groups: Tensor | None = None) -> Samples:
        """`Samples` of `images`, uint8 [M, C, H, W], varied as the settings say."""
        return Samples(images, labels, self.mirror, groups, self.random_crop)

    def advice(self, run: RunView) -> list[Advice]:
        """Reflect padding needs images larger than it. What overrides this calls `super().advice(run)`."""
        sides = run.spec.shape[1:]
        if len(sides) != 2 or self.random_crop < min(sides):
            return []
        text = (
            f"data.random_crop = {self.random_crop} needs images larger than that, got {sides[0]}x{sides[1]} "
            f"(height x width); set random_crop = {min(sides) - 1} or less"
        )
        return [Advice(f"{self.type}.random_crop", text, fatal=True)]
