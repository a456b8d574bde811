"""Mode coverage: how many Gaussians of a mixture a generator reaches, and how many samples hit any.

VEEGAN: Reducing Mode Collapse in GANs using Implicit Variational Learning (Srivastava et al., 2017),
arXiv:1705.07761.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from ganforge.api import Field, Metric, Sampler, Samples, UserError

Shape = Literal["ring8", "grid25"]
SIGMAS = 3
"""A sample further from every center than this many standard deviations belongs to no mode."""
REAL = 1000
"""Real samples that are checked against the configured shape."""
MIN_HITS = 0.8
"""Minimum share of them in a mode; 0.989 is expected, and half of the ring's modes are also the grid's."""


class Modes(Metric):
    """Modes of data 'toy2d' that generated points hit (`modes`, best is 8 or 25), and the share of points
    that lie in a mode (`high_quality`; 0.989 of the real ones do)."""

    type: Literal["modes"] = "modes"
    example: ClassVar[Mapping[str, Any]] = {
        "data": {"type": "toy2d", "count": 2500},
        "nets": {"type": "mlp", "g_hidden": [8], "d_hidden": [8]},
        "metrics": [{"type": "modes", "samples": 64}],
    }
    source: ClassVar[str] = (
        "VEEGAN: Reducing Mode Collapse in GANs using Implicit Variational Learning (Srivastava et al., "
        "2017), arXiv:1705.07761"
    )

    shape: Shape = Field("ring8", description="The mixture; the same as data.shape.")
    samples: int = Field(2500, ge=1, description="Number of generated points.")
    seed: int = Field(0, ge=0, description="Seed of the latents.")

    def compute(self, sampler: Sampler, samples: Samples) -> dict[str, float]:
        """Raises `UserError` if the data is not the mixture of `shape`."""
        if sampler.spec.shape != (2,):
            raise UserError(
                f"metric '{self.type}' needs 2-D points, as from data 'toy2d', got samples of shape "
                f"{sampler.spec.shape}"
            )
        centers, sigma = mixture(self.shape)
        if _hits(samples.images[:REAL].cpu(), centers, sigma)[1] < MIN_HITS:
            raise UserError(
                f"metric '{self.type}' has shape = \"{self.shape}\", but much of the data is outside its "
                "modes; set it to data.shape"
            )
        modes, share = _hits(sampler.sample(self.samples, self.seed), centers, sigma)
        return {"modes": float(modes), "high_quality": share}


def mixture(shape: Shape) -> tuple[Tensor, float]:
    """The centers [K, 2] and the standard deviation of the Gaussians, as data 'toy2d' scales them."""
    if shape == "ring8":
        centers = [(math.cos(k * math.tau / 8), math.sin(k * math.tau / 8)) for k in range(8)]
        return torch.tensor(centers) * math.sqrt(2), 0.01 * math.sqrt(2)
    steps = (-2, -1, 0, 1, 2)
    return torch.tensor([(x, y) for y in steps for x in steps]) / math.sqrt(2), 0.025 / math.sqrt(2)


def _hits(points: Tensor, centers: Tensor, sigma: float) -> tuple[int, float]:
    """Number of centers with one of `points` [N, 2] in their mode, and the share of points in any mode."""
    # Not by a matrix product, which loses precision for the small distances that matter here.
    distance = torch.cdist(points, centers, compute_mode="donot_use_mm_for_euclid_dist")
    inside = distance <= SIGMAS * sigma
    return int(inside.any(0).sum()), float(inside.any(1).double().mean())
