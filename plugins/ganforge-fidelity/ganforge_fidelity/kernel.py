"""The kernel distance, which on Inception features is KID."""

from __future__ import annotations

import importlib
from typing import ClassVar, Literal

from ganforge.api import Field, Sampler, Samples
from ganforge_fidelity.base import PairedMetric


class KernelDistance(PairedMetric):
    """KID (`kid`; 0 is best, and slightly negative values are normal), or with another extractor a kernel
    distance named after it (`kd_dinov2_vit_b_14`).

    The mean over subsets of the unbiased estimate; `_subset_deviation` is the standard deviation over the
    subsets, which share images: it is not that over seeds.
    """

    type: Literal["fidelity_kid"] = "fidelity_kid"
    source: ClassVar[str] = "Demystifying MMD GANs (Binkowski et al., 2018), arXiv:1801.01401, section 4"
    measure: ClassVar[str] = "kid"

    subsets: int = Field(100, ge=1, description="Number of subsets.")
    subset_size: int = Field(1000, ge=2, description="Images per subset, real and generated each.")

    def compute(self, sampler: Sampler, samples: Samples) -> dict[str, float]:
        """Raises `UserError` for fewer images than a subset has."""
        size = self.subset_size
        self.require(size, f"draws subsets of {size:,} images", "set subset_size = {count} or less", samples)
        kid = importlib.import_module("torch_fidelity.metric_kid")
        generated, real = self.pair(sampler, samples)
        found = kid.kid_features_to_metric(
            generated,
            real,
            kid_subsets=self.subsets,
            kid_subset_size=self.subset_size,
            rng_seed=self.seed,
            verbose=False,
        )
        name = self.named("kid", "kd")
        return {
            name: float(found[kid.KEY_METRIC_KID_MEAN]),
            f"{name}_subset_deviation": float(found[kid.KEY_METRIC_KID_STD]),
        }
