"""Stacked MNIST: three digits in the three colors, which makes a thousand modes that can be counted."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import torch

from ganforge.api import Context, DataSpec, Field, LabelSpec, Samples, Split, UserError
from ganforge_datasets.digits import CLASSES, Digits

MODES = CLASSES**3
AT_ONCE = 4096
"""Images made per step of the progress bar."""
STREAMS: dict[Split, int] = {"train": 0, "test": 1}


class StackedMNIST(Digits):
    """Three random digits of MNIST as red, green and blue. The mode of an image is the number its digits
    spell, red first: "000" to "999"."""

    source: ClassVar[str] = "Unrolled Generative Adversarial Networks (Metz et al., 2017), arXiv:1611.02163"

    type: Literal["stacked_mnist"] = "stacked_mnist"
    count: int = Field(128_000, ge=1, description="Number of images, drawn with replacement.")
    seed: int = Field(0, ge=0, description="Seed of the draw; another seed stacks other digits.")
    labelled: bool = Field(False, description="Give each image its mode, one of 1,000; false = no labels.")

    def spec(self) -> DataSpec:
        names = tuple(f"{mode:03d}" for mode in range(MODES))
        labels = LabelSpec(kind="one_of_k", names=names) if self.labelled else LabelSpec()
        return DataSpec(shape=(3, self.image_size, self.image_size), labels=labels)

    def build(self, split: Split, context: Context) -> Samples:
        """Images uint8 [M, 3, S, S]; the test split stacks the test digits."""
        digits, classes = self.read(split, context)
        if not len(digits):
            raise UserError(f"data '{self.type}' has no digits to stack: the files of MNIST hold none")
        rng = np.random.Generator(np.random.Philox([self.seed, STREAMS[split]]))
        chosen = rng.integers(len(digits), size=(self.count, 3))
        images = np.empty((self.count, 3, self.image_size, self.image_size), np.uint8)
        starts = range(0, self.count, AT_ONCE)
        for start in context.track(starts, len(starts), "stacking digits"):
            images[start : start + AT_ONCE] = digits[chosen[start : start + AT_ONCE]]
        if not self.labelled:
            return Samples(torch.from_numpy(images))
        modes = classes[chosen] @ np.array([100, 10, 1])
        labels = np.zeros((self.count, MODES), np.uint8)
        labels[np.arange(self.count), modes] = 1
        return Samples(torch.from_numpy(images), torch.from_numpy(labels))
