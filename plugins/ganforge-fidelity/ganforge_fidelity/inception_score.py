"""The Inception Score: confident classes per image, many classes overall."""

from __future__ import annotations

import importlib
from typing import ClassVar, Literal

from ganforge.api import DataSpec, Field, Sampler, Samples, UserError
from ganforge_fidelity.base import FidelityMetric
from ganforge_fidelity.extractors import INCEPTION, Extractor, layer_for


class InceptionScore(FidelityMetric):
    """Inception Score (`inception_score`; 1 to the number of classes, more is better). Uses no real
    images: it measures how well Inception recognizes the images, not how close they are to the data.

    The mean over splits; `_split_deviation` is the standard deviation over them, not over seeds.
    """

    type: Literal["fidelity_inception_score"] = "fidelity_inception_score"
    source: ClassVar[str] = (
        "Improved Techniques for Training GANs (Salimans et al., 2016), arXiv:1606.03498, section 4"
    )
    measure: ClassVar[str] = "isc"

    splits: int = Field(10, ge=1, description="Number of parts of the generated images.")

    def open(self, spec: DataSpec) -> Extractor:
        """Raises `UserError` also for an extractor without classes, and for too few samples."""
        if not layer_for(self.extractor, self.measure).startswith("logits"):
            raise UserError(
                f"metric '{self.type}' needs an extractor with class outputs, which '{self.extractor}' "
                f'does not have; use extractor = "{INCEPTION}"'
            )
        if self.samples < self.splits:
            raise UserError(
                f"metric '{self.type}' splits {self.samples} samples into {self.splits} parts; "
                f"set splits = {self.samples} or less"
            )
        return super().open(spec)

    def compute(self, sampler: Sampler, samples: Samples) -> dict[str, float]:
        isc = importlib.import_module("torch_fidelity.metric_isc")
        logits = self.generated(self.open(sampler.spec), sampler)
        found = isc.isc_features_to_metric(logits, self.splits, shuffle=True, rng_seed=self.seed)
        name = self.named("inception_score", "classifier_score")
        return {
            name: float(found[isc.KEY_METRIC_ISC_MEAN]),
            f"{name}_split_deviation": float(found[isc.KEY_METRIC_ISC_STD]),
        }
