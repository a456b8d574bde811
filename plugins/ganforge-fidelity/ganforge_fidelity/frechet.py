"""The Frechet distance, which on Inception features is FID."""

from __future__ import annotations

import importlib
from typing import ClassVar, Literal

from ganforge.api import Sampler, Samples
from ganforge_fidelity.base import PairedMetric


class FrechetDistance(PairedMetric):
    """FID (`fid`; 0 is best), or with another extractor a Frechet distance named after it
    (`fd_dinov2_vit_b_14`), which is not FID.

    It falls with the number of images in either set: compare at equal numbers only.
    """

    type: Literal["fidelity_fid"] = "fidelity_fid"
    source: ClassVar[str] = (
        "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium (Heusel et al., "
        "2017), arXiv:1706.08500, equation 6; with DINOv2: Exposing Flaws of Generative Model Evaluation "
        "Metrics (Stein et al., 2023), arXiv:2306.04675"
    )
    measure: ClassVar[str] = "fid"

    def compute(self, sampler: Sampler, samples: Samples) -> dict[str, float]:
        fid = importlib.import_module("torch_fidelity.metric_fid")
        generated, real = (fid.fid_features_to_statistics(each) for each in self.pair(sampler, samples))
        found = fid.fid_statistics_to_metric(generated, real, verbose=False)
        return {self.named("fid", "fd"): float(found[fid.KEY_METRIC_FID])}
