"""How much a categorical code of the latent tells of what the samples show, as a judge sees it.

InfoGAN: Interpretable Representation Learning by Information Maximizing Generative Adversarial
Nets (Chen et al., 2016), arXiv:1606.03657; the correction is that of Note on the Bias of Information
Estimates (Miller, 1955), in: Information Theory in Psychology.
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal

from torch import Tensor

from ganforge.api import AbsolutePath, Field, Metric, Sampler, Samples
from ganforge_metrics.coded import contingency, judged_codes


class MutualInformation(Metric):
    """The mutual information of a code and the class that a judge sees in the samples, in nats
    (`judged_mutual_information`), and as a share of the code's entropy (`judged_information_share`, 1
    where the class gives the code away).

    It is not the lower bound that the term 'mutual_information' maximizes: that one asks the run's
    own Q, this one a judge that had no part in the training. From the table of codes and classes,
    with the correction of Miller and Madow for its finite number of samples; values a little below 0
    are no mistake. Classes say less than images: the information of code and image may be more.
    """

    type: Literal["mutual_information"] = "mutual_information"
    source: ClassVar[str] = (
        "InfoGAN: Interpretable Representation Learning by Information Maximizing Generative Adversarial "
        "Nets (Chen et al., 2016), arXiv:1606.03657; Note on the Bias of Information Estimates (Miller, 1955)"
    )

    judge: AbsolutePath = Field(
        description="A judge of one of K classes: the folder that 'ganforge judge train' wrote."
    )
    samples: int = Field(10_000, ge=1, description="Number of generated samples.")
    code: str = Field("c1", description="Name of a categorical code of the prior, such as 'c1' of 'codes'.")

    def compute(self, sampler: Sampler, data: Samples) -> dict[str, float]:
        """Raises `UserError` for a judge that does not fit, and where there is no such code."""
        asker = f"metric '{self.type}'"
        codes, logits = judged_codes(asker, self.judge, self.code, sampler, self.samples, self.seed)
        return information(contingency(codes, logits))


def information(table: Tensor) -> dict[str, float]:
    """The figures for counts `table` [codes, K]; NaN for an empty one."""
    if not table.any():
        return {"judged_mutual_information": math.nan, "judged_information_share": math.nan}
    of_code, of_class = entropy(table.sum(1)), entropy(table.sum(0))
    found = of_code + of_class - entropy(table.flatten())
    # A code of one class only has no entropy, and nothing to tell.
    share = found / of_code if of_code else 0.0
    return {"judged_mutual_information": found, "judged_information_share": share}


def entropy(counts: Tensor) -> float:
    """In nats, of a distribution seen in `counts` [B] (int64), corrected after Miller and Madow: each
    cell but one that is not empty adds half a sample's weight."""
    seen = counts[counts > 0].double()
    share = seen / seen.sum()
    return float(-(share * share.log()).sum() + (len(seen) - 1) / (2 * seen.sum()))
