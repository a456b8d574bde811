"""The Frechet distance in a judge's own features.

The formula is that of the Frechet inception distance: GANs Trained by a Two Time-Scale Update Rule
Converge to a Local Nash Equilibrium (Heusel et al., 2017), arXiv:1706.08500, equation 6. The features
are not those of an Inception network, so the value is no FID.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from ganforge.api import AbsolutePath, DataSpec, Field, Sampler, Samples, UserError
from ganforge.api.judge.features import FeatureSpace
from ganforge_metrics.two_sets import TwoSets


class FrechetJudgeDistance(TwoSets):
    """The Frechet distance of real and generated samples in a judge's features
    (`frechet_judge_distance`, in squared units of the features; 0 is best).

    This is not FID. Values compare only for one judge (the same hash) and the same numbers of
    samples: two sets of real images do not give 0, and fewer of them give more.
    """

    type: Literal["fjd"] = "fjd"
    source: ClassVar[str] = (
        "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium (Heusel et al., "
        "2017), arXiv:1706.08500, equation 6, with the features of a judge"
    )

    judge: AbsolutePath = Field(description="A judge: the folder that 'ganforge judge train' wrote.")

    def compute(self, sampler: Sampler, data: Samples) -> dict[str, float]:
        """Raises `UserError` for a judge that does not fit, and for too few samples."""
        space = FeatureSpace.open(self.judge, sampler.spec)
        assert space.judge is not None
        least = space.judge.network.head.in_features + 1
        for name, count in (("real", self.real), ("samples", self.samples)):
            if count < least:
                raise UserError(
                    f"metric '{self.type}': {count:,} samples do not span the judge's {least - 1} features; "
                    f"set {name} = {least} or more"
                )
        real, fake = self.features(space, sampler, data)
        return {"frechet_judge_distance": frechet_distance(real, fake)}

    def provenance(self, data: DataSpec) -> dict[str, Any]:
        return FeatureSpace.open(self.judge, data).provenance()


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """The squared Frechet distance of the Gaussians with the means and covariances of the rows `a` [N, F]
    and `b` [M, F], float64; NaN where a row is not finite."""
    if not (a.isfinite().all() and b.isfinite().all()):
        return math.nan
    gap = a.mean(0) - b.mean(0)
    cov_a, cov_b = torch.cov(a.T).reshape(a.shape[1], -1), torch.cov(b.T).reshape(b.shape[1], -1)
    values, vectors = torch.linalg.eigh(cov_a)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    # The trace of the root of cov_a cov_b: this product has the same eigenvalues, and is symmetric.
    product = root @ cov_b @ root
    cross = torch.linalg.eigvalsh((product + product.T) / 2).clamp(min=0).sqrt().sum()
    return float(gap.square().sum() + cov_a.trace() + cov_b.trace() - 2 * cross)
