"""Points in the plane, on which a GAN's failures can be seen: a ring or a grid of Gaussians, a spiral.

The mixtures and their widths are those of Metz et al., "Unrolled Generative Adversarial Networks", 2017,
arXiv:1611.02163 (the ring), and of the toy code of Gulrajani et al., "Improved Training of Wasserstein
GANs", 2017, arXiv:1704.00028 (all three, and the scale).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationInfo, field_validator

from ganforge.api import Context, Dataset, DataSpec, Field, LabelSpec, Samples, Split

Shape = Literal["ring8", "grid25", "swiss_roll"]
Floats = NDArray[np.float64]

ROLL_NOISE = 0.25
ROLL_SCALE = 7.5
STREAMS: dict[Split, int] = {"train": 0, "test": 1}


class Toy2D(Dataset):
    """Points in the plane, scaled so that each coordinate has a standard deviation of about 1."""

    source: ClassVar[str] = (
        "Unrolled Generative Adversarial Networks (Metz et al., 2017), arXiv:1611.02163; Improved Training "
        "of Wasserstein GANs (Gulrajani et al., 2017), arXiv:1704.00028"
    )

    type: Literal["toy2d"] = "toy2d"
    example: ClassVar[Mapping[str, Any]] = {
        "data": {"type": "toy2d", "count": 64},
        "nets": {"type": "mlp", "g_hidden": [8], "d_hidden": [8]},
    }
    shape: Shape = Field(
        "ring8",
        description="ring8 = 8 Gaussians on a circle (radius 2, std 0.02, divided by 1.414); grid25 = 25 on "
        "a 5 x 5 grid (spacing 2, std 0.05, divided by 2.828); swiss_roll = a spiral (noise 0.25, divided by "
        "7.5).",
    )
    count: int = Field(100_000, ge=1, description="Number of points.")
    seed: int = Field(0, ge=0, description="Seed of the draw; another seed gives other points.")
    labelled: bool = Field(False, description="Give each point its Gaussian as a class; false = no labels.")

    @field_validator("labelled")
    @classmethod
    def _has_modes(cls, labelled: bool, info: ValidationInfo) -> bool:
        if labelled and info.data.get("shape") == "swiss_roll":
            raise ValueError(
                "a swiss_roll has no Gaussians to label; use ring8 or grid25, or leave labelled out"
            )
        return labelled

    def spec(self) -> DataSpec:
        if not self.labelled:
            return DataSpec(shape=(2,))
        names = tuple(str(index) for index in range(len(mixture(self.shape)[0])))
        return DataSpec(shape=(2,), labels=LabelSpec(kind="one_of_k", names=names))

    def build(self, split: Split, context: Context) -> Samples:
        """Points float32 [M, 2]; the test split is another draw."""
        rng = np.random.Generator(np.random.Philox([self.seed, STREAMS[split]]))
        if self.shape == "swiss_roll":
            return Samples(torch.from_numpy(_swiss_roll(self.count, rng).astype(np.float32)))
        centres, sigma = mixture(self.shape)
        modes = rng.integers(len(centres), size=self.count)
        points = centres[modes] + sigma * rng.standard_normal((self.count, 2))
        labels = torch.from_numpy(np.eye(len(centres), dtype=np.uint8)[modes]) if self.labelled else None
        return Samples(torch.from_numpy(points.astype(np.float32)), labels)


def mixture(shape: Shape) -> tuple[Floats, float]:
    """The centres [K, 2] and the standard deviation of the Gaussians of `ring8` or `grid25`, as scaled.

    The ring goes counterclockwise from the right; the grid row by row from the lower left.
    """
    if shape == "ring8":
        angles = np.arange(8) * (math.pi / 4)
        return 2 * np.stack([np.cos(angles), np.sin(angles)], axis=1) / math.sqrt(2), 0.02 / math.sqrt(2)
    assert shape == "grid25"
    y, x = np.divmod(np.arange(25), 5)
    return (2 * np.stack([x, y], axis=1) - 4) / math.sqrt(8), 0.05 / math.sqrt(8)


def _swiss_roll(count: int, rng: np.random.Generator) -> Floats:
    """A spiral of one and a half turns, seen from above (the roll's height is left out)."""
    angle = 1.5 * math.pi * (1 + 2 * rng.random(count))
    spiral = np.stack([angle * np.cos(angle), angle * np.sin(angle)], axis=1)
    return (spiral + ROLL_NOISE * rng.standard_normal((count, 2))) / ROLL_SCALE
