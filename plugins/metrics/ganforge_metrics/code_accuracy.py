"""Whether a categorical code of the latent means a class, as a judge sees it.

InfoGAN: Interpretable Representation Learning by Information Maximizing Generative Adversarial
Nets (Chen et al., 2016), arXiv:1606.03657, section 7.2: each code is matched with one class.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor

from ganforge.api import AbsolutePath, Field, Metric, Sampler, Samples, UserError
from ganforge.api.judge import load_judge


class CodeAccuracy(Metric):
    """Share of the samples that show the class their code is matched with (`code_accuracy`, 0 to 1);
    a code's match is the class that its samples show most often. Also the number of different
    classes that are the match of any code (`code_classes`)."""

    type: Literal["code_accuracy"] = "code_accuracy"
    source: ClassVar[str] = (
        "InfoGAN: Interpretable Representation Learning by Information Maximizing Generative Adversarial "
        "Nets (Chen et al., 2016), arXiv:1606.03657, section 7.2"
    )

    judge: AbsolutePath = Field(
        description="A judge of one of K classes: the folder that 'ganforge judge train' wrote."
    )
    samples: int = Field(10_000, ge=1, description="Number of generated samples.")
    code: str = Field("c1", description="Name of a categorical code of the prior, such as 'c1' of 'codes'.")

    def compute(self, sampler: Sampler, data: Samples) -> dict[str, float]:
        """Raises `UserError` for a judge that does not fit, and where there is no such code."""
        judge = load_judge(self.judge)
        kind = judge.card.data.labels.kind
        if kind != "one_of_k":
            raise UserError(f"metric '{self.type}' needs a judge of one of K classes; this one is '{kind}'")
        # Labels may differ: the point of a code is that it is found without any.
        judge.refuse_misfit(sampler.spec, labels=False)
        # One sample tells which codes there are, before all of them are made.
        first = sampler.draw(1, self.seed)[1].codes
        categorical = [name for name, codes in first.items() if not codes.is_floating_point()]
        if self.code not in categorical:
            there = ", ".join(categorical) or "none; use the prior 'codes'"
            raise UserError(f"metric '{self.type}': no categorical code '{self.code}' (there are: {there})")
        images, draw = sampler.draw(self.samples, self.seed)
        return matching(draw.codes[self.code], judge.logits(images))


def matching(codes: Tensor, logits: Tensor) -> dict[str, float]:
    """The figures for `codes` [N] (int64) and a judge's `logits` [N, K] of the same samples. A sample
    whose outputs are not finite shows no class."""
    sound = logits.isfinite().all(1)
    shown = logits[sound].argmax(1)
    table = torch.zeros(int(codes.max()) + 1, logits.shape[1], dtype=torch.int64)
    table.index_put_((codes[sound], shown), torch.ones_like(shown), accumulate=True)
    most, match = table.max(1)
    return {
        "code_accuracy": float(most.sum() / len(codes)),
        "code_classes": float(len(set(match[most > 0].tolist()))),
    }
