"""A data set that is drawn in memory, small enough to train on in a test."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from ganforge.api import Context, Dataset, DataSpec, Field, LabelKind, LabelSpec, Samples, Split

NAMES = ("red", "green", "blue")


class Squares(Dataset):
    """Bright squares on a dark ground; the label says in which corner, or corners."""

    type: Literal["squares"] = "squares"
    size: int = Field(16, ge=1, description="Side of an image, in pixels.")
    count: int = Field(48, ge=0, description="Number of images.")
    labels: LabelKind = Field("many_of_k", description="What the labels are.")
    mirror: bool = Field(False, description="Flip at random.")
    small: int = Field(
        0, ge=0, description="Side of the images that are conditions; 0 = that of the samples."
    )
    pairs: bool = Field(True, description="An image that is a condition belongs to its sample.")

    def spec(self) -> DataSpec:
        if self.labels == "image":
            side = self.small or self.size
            return DataSpec(
                shape=(3, self.size, self.size),
                labels=LabelSpec(kind="image", size=(3, side, side), paired=self.pairs),
            )
        if self.labels == "named":
            parts = {
                "color": LabelSpec(kind="one_of_k", names=NAMES),
                "light": LabelSpec(kind="vector", names=("level", "spread")),
                "negative": LabelSpec(kind="image", size=(3, self.size, self.size), paired=self.pairs),
            }
            return DataSpec(shape=(3, self.size, self.size), labels=LabelSpec(kind="named", parts=parts))
        names = () if self.labels == "none" else NAMES
        most = 3 if self.labels == "many_of_k" else None
        return DataSpec(
            shape=(3, self.size, self.size), labels=LabelSpec(kind=self.labels, names=names, most=most)
        )

    def build(self, split: Split, context: Context) -> Samples:
        rng = torch.Generator().manual_seed(7)
        images = torch.randint(0, 60, (self.count, 3, self.size, self.size), generator=rng, dtype=torch.uint8)
        if self.labels == "none":
            return Samples(images, None, self.mirror)
        if self.labels == "image":
            return self._with_images(images)
        if self.labels == "named":
            return self._with_several(images)
        labels = torch.zeros(self.count, len(NAMES), dtype=torch.uint8)
        for row in range(self.count):
            on = torch.randperm(3, generator=rng)[: 1 + row % 3 if self.labels == "many_of_k" else 1]
            labels[row, on] = 1
            for place in on.tolist():
                images[row, place, : self.size // 2, : self.size // 2] = 220
        return Samples(images, labels, self.mirror)

    def _with_several(self, images: Tensor) -> Samples:
        """Conditioned on the color, the light and the negative; unpaired, the negative is of another one."""
        color = torch.arange(self.count) % len(NAMES)
        images[torch.arange(self.count), color, :, : self.size // 2] = 200
        flat = images.flatten(1).float() / 255
        labels = {
            "color": torch.eye(len(NAMES), dtype=torch.uint8)[color],
            "light": torch.stack([flat.mean(1), flat.std(1)], dim=1),
            "negative": 255 - images,
        }
        if self.pairs:
            return Samples(images, labels, self.mirror)
        labels["negative"] = labels["negative"][1:]
        return Samples(images, labels, self.mirror, unpaired=("negative",))

    def _with_images(self, images: Tensor) -> Samples:
        """Conditioned on their negatives, made small; unpaired, these are fewer."""
        images[:, 0, :, : self.size // 2] = 200
        step = self.size // (self.small or self.size)
        negatives = 255 - images[:, :, ::step, ::step]
        if self.pairs:
            return Samples(images, negatives, self.mirror)
        return Samples(images, negatives[: self.count // 2 + 1], self.mirror, paired=False)
