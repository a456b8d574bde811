"""The Frechet distance in the features of a judge.

The formula is that of the Frechet inception distance: GANs Trained by a Two Time-Scale Update Rule
Converge to a Local Nash Equilibrium (Heusel et al., 2017), arXiv:1706.08500, equation 6. The features
are not those of an Inception network, so the value is no FID.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from ganforge.api import AbsolutePath, DataSpec, Field, Sampler, Samples, UserError
from ganforge.api.judge.features import FeatureSpace
from ganforge_metrics.two_sets import TwoSets


class FrechetJudgeDistance(TwoSets):
    """The Frechet distance of real and generated samples in a judge's features
    (`frechet_judge_distance`, in squared units of the features; 0 is best).

    This is not FID. Values are comparable only for the same judge (the same hash) and the same numbers of
    samples: two sets of real images do not give 0, and fewer of them give more.
    """

    type: Literal["fjd"] = "fjd"
    example: ClassVar[Mapping[str, Any]] = {"metrics": [{"type": "fjd", "judge": "judge"}]}
    source: ClassVar[str] = (
        "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium (Heusel et al., "
        "2017), arXiv:1706.08500, equation 6, with the features of a judge"
    )

    judge: AbsolutePath = Field(description="A judge: a folder from 'ganforge judge train'.")

    def compute(self, sampler: Sampler, samples: Samples) -> dict[str, float]:
        """Raises `UserError` for an incompatible judge, and for too few samples."""
        space = FeatureSpace.open(self.judge, sampler.spec)
        assert space.judge is not None
        least = space.judge.network.head.in_features + 1
        for name, count in (("real", self.real), ("samples", self.samples)):
            if count < least:
                raise UserError(
                    f"metric '{self.type}': {count:,} samples cannot span the judge's {least - 1} features; "
                    f"set {name} = {least} or more"
                )
        real, fake = self.features(space, sampler, samples)
        return {"frechet_judge_distance": frechet_distance(real, fake)}

    def provenance(self, spec: DataSpec) -> dict[str, Any]:
        return FeatureSpace.open(self.judge, spec).provenance()


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """The squared Frechet distance of the Gaussians with the means and covariances of the rows `a` [N, F]
    and `b` [M, F], float64; NaN if a value is non-finite, or a set has fewer than two rows.

    With covariances A.T A and B.T B, the trace of the square root of their product is the nuclear norm of
    A B.T. So no covariance is formed and no square root of an eigenvalue taken: a variance of zero
    computed as 1e-16 has the square root 1e-8, an error in the eighth digit, in a direction that is
    rounding noise.
    """
    if min(len(a), len(b)) < 2 or not (a.isfinite().all() and b.isfinite().all()):
        return math.nan
    root_a, root_b = _covariance_root(a), _covariance_root(b)
    cross = torch.linalg.svdvals(root_a @ root_b.T).sum()
    gap = a.mean(0) - b.mean(0)
    distance = gap.square().sum() + root_a.square().sum() + root_b.square().sum() - 2 * cross
    return max(0.0, float(distance))  # for equal sets, rounding leaves either sign


def _covariance_root(rows: Tensor) -> Tensor:
    """A matrix R [min(N, F), F] such that R.T R is the unbiased covariance of `rows` [N, F]."""
    centered = (rows - rows.mean(0)) / math.sqrt(len(rows) - 1)
    root: Tensor = torch.linalg.qr(centered, mode="r").R
    return root
