"""The maximum mean discrepancy: an unbiased kernel distance between two sets of samples.

A Kernel Two-Sample Test (Gretton et al., 2012), Journal of Machine Learning Research 13, lemma 6;
the polynomial kernel and the subsets are those of the kernel inception distance: Demystifying MMD
GANs (Bińkowski et al., 2018), arXiv:1801.01401, section 4; the mixture of Gaussian kernels is that
of Generative Moment Matching Networks (Li et al., 2015), arXiv:1502.02761, section 3.2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from ganforge.api import Field, Sampler, Samples, UserError
from ganforge_metrics.two_sets import TwoSetsInSpace

Kernel = Callable[[Tensor, Tensor], Tensor]
"""Rows [N, F] and [M, F] -> [N, M]."""
BANDWIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Variances of the Gaussian kernels, in units of the median squared distance of real samples."""
FOR_MEDIAN = 1000


class MMD(TwoSetsInSpace):
    """The squared maximum mean discrepancy of real and generated samples (`mmd_squared`), prefixed by
    the space: `judge_`, `pixel_` or `point_`. The unbiased mean over subsets: a perfect generator gives
    0 on average, so slightly negative values are normal. `..._subset_std` is the standard deviation over
    the subsets, each of `subset` real and as many generated samples.

    Values are comparable only for the same kernel and judge.
    """

    type: Literal["mmd"] = "mmd"
    example: ClassVar[Mapping[str, Any]] = {
        "metrics": [{"type": "mmd", "subsets": 2, "subset": 8, "real": 16}]
    }
    source: ClassVar[str] = (
        "A Kernel Two-Sample Test (Gretton et al., 2012), JMLR 13, lemma 6; Demystifying MMD GANs "
        "(Bińkowski et al., 2018), arXiv:1801.01401, section 4"
    )

    kernel: Literal["polynomial", "gaussian"] = Field(
        "polynomial",
        description="polynomial: (x y / F + 1)^3, as in KID; gaussian: the mean of five Gaussian kernels "
        "around the median distance of the real samples.",
    )
    subsets: int = Field(50, ge=2, description="Number of subsets.")
    subset: int = Field(1000, ge=2, description="Real samples per subset, and as many generated ones.")

    def compute(self, sampler: Sampler, samples: Samples) -> dict[str, float]:
        """Raises `UserError` for an incompatible judge, and for too few samples."""
        most = min(self.real, self.samples)
        if self.subset > most:
            raise UserError(
                f"metric '{self.type}': a subset of {self.subset:,} cannot be drawn from {most:,} samples; "
                f"set subset = {most} or less"
            )
        space = self.space(sampler.spec)
        real, fake = self.features(space, sampler, samples)
        kernel = polynomial if self.kernel == "polynomial" else gaussian_mixture(real[:FOR_MEDIAN])
        rng = torch.Generator().manual_seed(self.seed)
        found = torch.tensor(
            [
                mmd_squared(self._drawn(real, rng), self._drawn(fake, rng), kernel)
                for _ in range(self.subsets)
            ],
            dtype=torch.float64,
        )
        name = f"{space.name}_mmd_squared"
        return {name: float(found.mean()), f"{name}_subset_std": float(found.std())}

    def _drawn(self, rows: Tensor, rng: torch.Generator) -> Tensor:
        return rows[torch.randperm(len(rows), generator=rng)[: self.subset]]


def mmd_squared(a: Tensor, b: Tensor, kernel: Kernel) -> float:
    """The unbiased squared discrepancy of the rows `a` [N, F] and `b` [M, F]; NaN if a row is
    non-finite."""
    inner = []
    for rows in (a, b):
        values, n = kernel(rows, rows), len(rows)
        inner.append((values.sum() - values.trace()) / (n * (n - 1)))
    found = float(inner[0] + inner[1] - 2 * kernel(a, b).mean())
    return found if math.isfinite(found) else math.nan


def polynomial(a: Tensor, b: Tensor) -> Tensor:
    """The kernel of KID."""
    return (a @ b.T / a.shape[1] + 1) ** 3


def gaussian_mixture(real: Tensor) -> Kernel:
    """The mean of Gaussian kernels scaled to the spread of `real` [N, F]; 1 for equal rows."""
    squares = torch.pdist(real).square()
    # If most samples are equal the median is 0, and any width will do.
    middle = float(squares.median()) or 1.0

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        distance = torch.cdist(a, b).square()
        parts = [torch.exp(-distance / (2 * width * middle)) for width in BANDWIDTHS]
        return torch.stack(parts).mean(0)

    return kernel
