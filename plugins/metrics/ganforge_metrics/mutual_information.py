"""Mutual information between a categorical latent code and what a judge recognizes in the samples.

InfoGAN: Interpretable Representation Learning by Information Maximizing Generative Adversarial
Nets (Chen et al., 2016), arXiv:1606.03657; the correction is that of Note on the Bias of Information
Estimates (Miller, 1955), in: Information Theory in Psychology.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from torch import Tensor

from ganforge.api import Sampler, Samples
from ganforge_metrics.coded import CodeMetric, contingency


class MutualInformation(CodeMetric):
    """The mutual information of a code and the class that a judge assigns to the samples, in nats
    (`judged_mutual_information`), and as a share of the code's entropy (`judged_information_share`, 1 if
    the class determines the code).

    This is not the lower bound that the term 'mutual_information' maximizes: that uses the run's own Q,
    this a judge that took no part in training. Computed from the contingency table of codes and classes,
    with the Miller-Madow correction for the finite number of samples; slightly negative values are
    normal. Classes carry less information than images: that of code and image may be higher.
    """

    type: Literal["mutual_information"] = "mutual_information"
    example: ClassVar[Mapping[str, Any]] = {"metrics": [{"type": "mutual_information", "judge": "judge"}]}
    source: ClassVar[str] = (
        "InfoGAN: Interpretable Representation Learning by Information Maximizing Generative Adversarial "
        "Nets (Chen et al., 2016), arXiv:1606.03657; Note on the Bias of Information Estimates (Miller, 1955)"
    )

    def compute(self, sampler: Sampler, samples: Samples) -> dict[str, float]:
        """Raises `UserError` for an incompatible judge, or an unknown code."""
        return information(contingency(*self.judged(sampler)))


def information(table: Tensor) -> dict[str, float]:
    """The values for counts `table` [codes, K]; NaN for an empty one."""
    if not table.any():
        return {"judged_mutual_information": math.nan, "judged_information_share": math.nan}
    of_code, of_class = entropy(table.sum(1)), entropy(table.sum(0))
    found = of_code + of_class - entropy(table.flatten())
    # A code with a single class has no entropy.
    share = found / of_code if of_code else 0.0
    return {"judged_mutual_information": found, "judged_information_share": share}


def entropy(counts: Tensor) -> float:
    """Entropy in nats of a distribution estimated from `counts` [B] (int64), with the Miller-Madow
    correction: (nonzero cells - 1) / (2 N)."""
    seen = counts[counts > 0].double()
    share = seen / seen.sum()
    return float(-(share * share.log()).sum() + (len(seen) - 1) / (2 * seen.sum()))
