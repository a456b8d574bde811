"""Improved precision and recall: how much of one set is in the neighbourhood of the other."""

from __future__ import annotations

import importlib
from typing import ClassVar, Literal

from ganforge.api import Field, Sampler, Samples
from ganforge_fidelity.base import PairedMetric

ROWS = 2000
"""Maximum size of a table of distances."""


class PrecisionRecall(PairedMetric):
    """Share of generated images among the real ones (`precision_vgg16`) and of real images among the
    generated ones (`recall_vgg16`), 0 to 1; the name ends in that of the extractor.

    Both depend on the numbers of images: compare at equal `samples` and `real` only.
    """

    type: Literal["fidelity_precision_recall"] = "fidelity_precision_recall"
    source: ClassVar[str] = (
        "Improved Precision and Recall Metric for Assessing Generative Models (Kynkaanniemi et al., 2019), "
        "arXiv:1904.06991, equations 1 and 2"
    )
    measure: ClassVar[str] = "prc"

    extractor: str = Field(
        "vgg16", description="torch-fidelity's name of the feature extractor: vgg16, as in the paper, ..."
    )
    neighbours: int = Field(3, ge=1, description="An image's neighbourhood reaches to its k-th nearest one.")

    def compute(self, sampler: Sampler, samples: Samples) -> dict[str, float]:
        """Raises `UserError` for fewer images than neighbours."""
        k = self.neighbours
        self.require(k + 1, f"needs {k} neighbours", "set neighbours = {fewer} or less", samples)
        prc = importlib.import_module("torch_fidelity.metric_prc")
        generated, real = self.pair(sampler, samples)
        found = prc.prc_features_to_metric(
            generated,
            real,
            prc_neighborhood=self.neighbours,
            prc_batch_size=ROWS,
            save_cpu_ram=True,
            verbose=False,
        )
        name = self.extractor.replace("-", "_")
        return {
            f"precision_{name}": found[prc.KEY_METRIC_PRECISION],
            f"recall_{name}": found[prc.KEY_METRIC_RECALL],
        }
