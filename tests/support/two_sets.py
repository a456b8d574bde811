"""A generator that gives what it was given, for the metrics that compare two sets."""

from __future__ import annotations

import torch
from torch import Tensor

from ganforge.api import DataSpec, Draw

SPEC = DataSpec(shape=(3, 16, 16))


def uint8_images(n: int, seed: int = 0, most: int = 256, side: int = 16) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(0, most, (n, 3, side, side), generator=rng, dtype=torch.uint8)


class Given:
    """Samples from a generator that has learned them by heart: images uint8, or points."""

    def __init__(self, images: Tensor, spec: DataSpec = SPEC) -> None:
        self.images = images.float() / 127.5 - 1 if images.dtype == torch.uint8 else images
        self.spec = spec
        self.asked: list[tuple[int, int]] = []

    def sample(self, n: int, seed: int, cond: Tensor | None = None) -> Tensor:
        self.asked.append((n, seed))
        return self.images[:n]

    def draw(self, n: int, seed: int, cond: Tensor | None = None) -> tuple[Tensor, Draw]:
        raise AssertionError("the metric needs no draws")
