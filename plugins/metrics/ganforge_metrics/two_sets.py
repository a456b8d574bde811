"""Base of the metrics that compare a set of real samples with a set of generated ones."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ganforge.api import AbsolutePath, DataSpec, Field, Metric, Sampler, Samples
from ganforge.api.judge.features import SIDE, FeatureSpace, choose_real


class TwoSets(Metric):
    """A metric of `real` real and `samples` generated samples."""

    real: int = Field(10_000, ge=2, description="Number of real samples, drawn without replacement.")
    samples: int = Field(10_000, ge=2, description="Number of generated samples.")

    def features(self, space: FeatureSpace, sampler: Sampler, samples: Samples) -> tuple[Tensor, Tensor]:
        """Real [real, F] and generated [samples, F] rows in `space`, float64.

        Raises `UserError` if the data has fewer samples than requested.
        """
        chosen = choose_real(samples, self.real, self.seed, f"metric '{self.type}'")
        generated = space(sampler.sample(self.samples, self.seed))
        return space.of_real(samples, chosen).double(), generated.double()


class TwoSetsInSpace(TwoSets):
    """The same, in a feature space chosen by the user; its name prefixes the names of the values."""

    judge: AbsolutePath | None = Field(
        None,
        description="A judge whose features are compared: a folder from 'ganforge judge train'; absent = "
        "compare the samples themselves.",
    )
    side: int = Field(
        SIDE,
        ge=1,
        description="Without a judge, images are downsampled to at most this many pixels per side.",
    )

    def space(self, spec: DataSpec) -> FeatureSpace:
        """Raises `UserError` for an incompatible judge."""
        return FeatureSpace.open(self.judge, spec, self.side)

    def provenance(self, spec: DataSpec) -> dict[str, Any]:
        return self.space(spec).provenance()
