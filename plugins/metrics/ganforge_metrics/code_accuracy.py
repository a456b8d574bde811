"""Whether a categorical latent code corresponds to a class, as recognized by a judge.

InfoGAN: Interpretable Representation Learning by Information Maximizing Generative Adversarial
Nets (Chen et al., 2016), arXiv:1606.03657, section 7.2: each code is matched with one class.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from torch import Tensor

from ganforge.api import Sampler, Samples
from ganforge_metrics.coded import CodeMetric, contingency


class CodeAccuracy(CodeMetric):
    """Share of the samples whose class is the one matched with their code (`code_accuracy`, 0 to 1); a
    code's match is the most frequent class among its samples. Also the number of distinct matched
    classes (`code_classes`)."""

    type: Literal["code_accuracy"] = "code_accuracy"
    example: ClassVar[Mapping[str, Any]] = {
        "prior": {"type": "codes", "dim": 4, "categorical": [3]},
        "metrics": [{"type": "code_accuracy", "judge": "judge"}],
    }
    source: ClassVar[str] = (
        "InfoGAN: Interpretable Representation Learning by Information Maximizing Generative Adversarial "
        "Nets (Chen et al., 2016), arXiv:1606.03657, section 7.2"
    )

    def compute(self, sampler: Sampler, samples: Samples) -> dict[str, float]:
        """Raises `UserError` for an incompatible judge, or an unknown code."""
        return matching(*self.judged(sampler))


def matching(codes: Tensor, logits: Tensor) -> dict[str, float]:
    """The values for `codes` [N] (int64) and a judge's `logits` [N, K] of the same samples. A sample with
    non-finite outputs counts as no class."""
    table = contingency(codes, logits)
    most, match = table.max(1)
    return {
        "code_accuracy": float(most.sum() / len(codes)),
        "code_classes": float(len(set(match[most > 0].tolist()))),
    }
