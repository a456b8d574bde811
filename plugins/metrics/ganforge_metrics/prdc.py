"""Precision, recall, density and coverage: fidelity and diversity measured separately.

Improved Precision and Recall Metric for Assessing Generative Models (Kynkäänniemi et al., 2019),
arXiv:1904.06991; Reliable Fidelity and Diversity Metrics for Generative Models (Naeem et al., 2020),
arXiv:2002.09797, equations 3 and 4.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from ganforge.api import Field, Sampler, Samples, UserError
from ganforge_metrics.two_sets import TwoSetsInSpace

CHUNK = 1000


class PRDC(TwoSetsInSpace):
    """Each sample has a ball that reaches to its k-th nearest neighbour in its own set. `precision`: share
    of the generated samples in a real ball. `recall`: share of the real samples in a generated ball.
    `density`: real balls that contain a generated sample, over k (1 for a perfect generator).
    `coverage`: share of the real balls that contain a generated sample (1 - 2**-k for a perfect
    generator and equal numbers). Each is prefixed by the space: `judge_`, `pixel_` or `point_`.

    Values are comparable only for the same judge, k and numbers of samples.
    """

    type: Literal["prdc"] = "prdc"
    example: ClassVar[Mapping[str, Any]] = {"metrics": [{"type": "prdc", "samples": 12, "real": 16}]}
    source: ClassVar[str] = (
        "Improved Precision and Recall Metric for Assessing Generative Models (Kynkäänniemi et al., 2019), "
        "arXiv:1904.06991; Reliable Fidelity and Diversity Metrics for Generative Models (Naeem et al., "
        "2020), arXiv:2002.09797, equations 3 and 4"
    )

    k: int = Field(5, ge=1, description="A sample's ball reaches to its k-th nearest neighbour.")

    def compute(self, sampler: Sampler, samples: Samples) -> dict[str, float]:
        """Raises `UserError` for an incompatible judge, and for too few samples."""
        for name, count in (("real", self.real), ("samples", self.samples)):
            if count <= self.k:
                raise UserError(
                    f"metric '{self.type}': k = {self.k} needs more than {count} samples; "
                    f"set {name} = {self.k + 1} or more"
                )
        space = self.space(sampler.spec)
        figures = prdc(*self.features(space, sampler, samples), self.k)
        return {f"{space.name}_{name}": value for name, value in figures.items()}


def prdc(real: Tensor, fake: Tensor, k: int) -> dict[str, float]:
    """The four values for the rows `real` [N, F] and `fake` [M, F], float64; NaN if a row is
    non-finite."""
    if not (real.isfinite().all() and fake.isfinite().all()):
        return dict.fromkeys(("precision", "recall", "density", "coverage"), math.nan)
    real_radii, fake_radii = radii(real, k), radii(fake, k)
    covered = torch.zeros(len(real), dtype=torch.bool)
    recalled = torch.zeros(len(real), dtype=torch.bool)
    precise = balls = 0
    for start in range(0, len(fake), CHUNK):
        part = slice(start, start + CHUNK)
        distance = torch.cdist(fake[part], real)
        in_real = distance <= real_radii
        precise += int(in_real.any(1).sum())
        balls += int(in_real.sum())
        covered |= in_real.any(0)
        recalled |= (distance <= fake_radii[part, None]).any(0)
    return {
        "precision": precise / len(fake),
        "recall": float(recalled.double().mean()),
        "density": balls / (k * len(fake)),
        "coverage": float(covered.double().mean()),
    }


def radii(points: Tensor, k: int) -> Tensor:
    """The distance [N] of each of `points` [N, F] to its k-th nearest other."""
    found = []
    for start in range(0, len(points), CHUNK):
        distance = torch.cdist(points[start : start + CHUNK], points)
        own = torch.arange(len(distance))
        distance[own, start + own] = math.inf
        found.append(distance.kthvalue(k, dim=1).values)
    return torch.cat(found)
