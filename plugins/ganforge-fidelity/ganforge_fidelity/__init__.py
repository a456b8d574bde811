"""FID, KID, Inception Score, precision and recall, computed by torch-fidelity."""

from __future__ import annotations

from collections.abc import Iterable

from ganforge.api import Component, hookimpl
from ganforge_fidelity.frechet import FrechetDistance
from ganforge_fidelity.inception_score import InceptionScore
from ganforge_fidelity.kernel import KernelDistance
from ganforge_fidelity.precision_recall import PrecisionRecall


@hookimpl
def ganforge_components() -> Iterable[type[Component]]:
    return [FrechetDistance, InceptionScore, KernelDistance, PrecisionRecall]
