"""The data set: its shape, known before anything is opened, and its samples."""

from __future__ import annotations

from typing import Literal

import torch

from ganforge.api import Context, Dataset, DataSpec, Field, LabelSpec, Samples, Split


class MyData(Dataset):
    """Gray images of one bright bar, horizontal or vertical."""

    type: Literal["my"] = "my"
    size: int = Field(16, ge=4, description="Height and width in pixels.")
    count: int = Field(512, ge=1, description="Number of images.")

    def spec(self) -> DataSpec:
        labels = LabelSpec(kind="one_of_k", names=("horizontal", "vertical"))
        return DataSpec(shape=(1, self.size, self.size), labels=labels)

    def build(self, split: Split, context: Context) -> Samples:
        rng = torch.Generator().manual_seed(0 if split == "train" else 1)
        images = torch.zeros(self.count, 1, self.size, self.size, dtype=torch.uint8)
        labels = torch.zeros(self.count, 2, dtype=torch.uint8)
        places = torch.randint(self.size, (self.count,), generator=rng).tolist()
        for row, place in enumerate(places):
            vertical = row % 2
            images[row, 0].select(vertical, place).fill_(255)
            labels[row, vertical] = 1
        return Samples(images, labels)
