"""MNIST and Fashion-MNIST: small grey images of ten classes."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import torch

from ganforge.api import Context, DataSpec, Field, LabelSpec, Samples, Split
from ganforge_datasets.digits import CLASSES, Digits


class LabelledDigits(Digits):
    """Grey images, uint8 [M, 1, S, S], of ten named classes."""

    names: ClassVar[tuple[str, ...]]

    labelled: bool = Field(True, description="Give each image its class; false = none, for plain GANs.")

    def spec(self) -> DataSpec:
        labels = LabelSpec(kind="one_of_k", names=self.names) if self.labelled else LabelSpec()
        return DataSpec(shape=(1, self.image_size, self.image_size), labels=labels)

    def build(self, split: Split, context: Context) -> Samples:
        images, classes = self.read(split, context)
        labels = torch.from_numpy(np.eye(CLASSES, dtype=np.uint8)[classes]) if self.labelled else None
        return Samples(torch.from_numpy(images[:, None]), labels)


class MNIST(LabelledDigits):
    """60,000 handwritten digits, white on black, and 10,000 for tests."""

    source: ClassVar[str] = (
        "Gradient-Based Learning Applied to Document Recognition (LeCun et al., 1998), doi:10.1109/5.726791"
    )
    names: ClassVar[tuple[str, ...]] = tuple(map(str, range(CLASSES)))

    type: Literal["mnist"] = "mnist"


class FashionMNIST(LabelledDigits):
    """60,000 pieces of clothing, in MNIST's form, and 10,000 for tests."""

    source: ClassVar[str] = (
        "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms "
        "(Xiao et al., 2017), arXiv:1708.07747"
    )
    torchvision: ClassVar[str] = "FashionMNIST"
    names: ClassVar[tuple[str, ...]] = (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    )

    type: Literal["fashion_mnist"] = "fashion_mnist"
