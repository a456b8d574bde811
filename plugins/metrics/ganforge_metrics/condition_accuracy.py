"""Whether samples match their condition, as recognized by a judge.

The protocol of i-CLEVR's evaluation: for a condition with k labels the judge's top k outputs are
compared with them; accuracy is hits / true labels over the whole list.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from ganforge.api import AbsolutePath, Field, LabelSpec, Metric, Sampler, Samples, UserError
from ganforge.api.conditions import read_conditions
from ganforge.api.judge.judge import load_judge
from ganforge.api.judge.score import Score, score

MAX_SAMPLES = 100_000


class ConditionAccuracy(Metric):
    """Share of the conditions' labels that a judge finds in the samples (`condition_accuracy`, 0 to 1),
    of samples in which it finds all (`condition_exact_match`), and for each label the recall
    (`condition_recall/...`).

    The upper bound is the judge's own accuracy on real images, which 'ganforge judge train' reports.
    `_std` is the standard deviation over the repeats.
    """

    type: Literal["condition_accuracy"] = "condition_accuracy"
    example: ClassVar[Mapping[str, Any]] = {"metrics": [{"type": "condition_accuracy", "judge": "judge"}]}
    source: ClassVar[str] = (
        "Conditional Image Synthesis with Auxiliary Classifier GANs (Odena et al., 2017), "
        "arXiv:1610.09585, section 4.1, with a judge of several labels"
    )

    judge: AbsolutePath = Field(
        description="A judge: a folder from 'ganforge judge train', or a published checkpoint (.pth)."
    )
    conditions: AbsolutePath | None = Field(
        None,
        description='JSON file with conditions, such as [["red cube"], ["gray sphere", "blue cube"]]; '
        "absent = drawn from the training labels.",
    )
    drawn: int = Field(500, ge=1, description="Number of conditions to draw if there is no list.")
    n: int = Field(1, ge=1, description="Samples per condition and repeat.")
    repeats: int = Field(10, ge=1, description="Repeats with different latents: seed, seed + 1, ...")
    name: str = Field("condition", min_length=1, description="Prefix of the names of the values.")

    def compute(self, sampler: Sampler, samples: Samples) -> dict[str, float]:
        """Raises `UserError` for a judge or a list that is incompatible with the data."""
        labels = sampler.spec.labels
        if labels.kind not in ("one_of_k", "many_of_k"):
            raise UserError(
                f"metric '{self.type}' needs data whose conditions are named labels, got labels of kind "
                f"'{labels.kind}'"
            )
        judge = load_judge(self.judge, sampler.spec)
        wanted = self._wanted(labels, samples).repeat_interleave(self.n, dim=0)
        scores = []
        for repeat in range(self.repeats):
            images = sampler.sample(len(wanted), self.seed + repeat, wanted)
            scores.append(score(judge.logits(images), wanted, labels.names))
        return self._figures(scores)

    def _wanted(self, labels: LabelSpec, samples: Samples) -> Tensor:
        """The conditions as rows [conditions, K]."""
        if self.conditions is not None:
            rows = encoded(self.conditions, labels)
        else:
            assert samples.labels is not None
            carry = samples.labels.cpu().float()
            carry = carry[carry.sum(1) > 0]
            rng = torch.Generator().manual_seed(self.seed)
            rows = carry[torch.randint(len(carry), (self.drawn,), generator=rng)]
        if len(rows) * self.n > MAX_SAMPLES:
            raise UserError(
                f"metric '{self.type}' needs {len(rows) * self.n:,} samples at once, at most "
                f"{MAX_SAMPLES:,}; lower n"
            )
        return rows

    def _figures(self, scores: list[Score]) -> dict[str, float]:
        accuracy = torch.tensor([each.accuracy for each in scores], dtype=torch.float64)
        exact = torch.tensor([each.exact_match for each in scores], dtype=torch.float64)
        figures = {}
        for key, values in ((f"{self.name}_accuracy", accuracy), (f"{self.name}_exact_match", exact)):
            figures[key] = float(values.mean())
            if self.repeats > 1:
                figures[f"{key}_std"] = float(values.std())
        # All repeats have the same conditions, so the mean over repeats is that over all samples.
        for label in scores[0].recall:
            mean = sum(each.recall[label] for each in scores) / len(scores)
            figures[f"{self.name}_recall/{label}"] = mean
        return figures


def encoded(file: Path, labels: LabelSpec) -> Tensor:
    """The conditions of a list as rows [conditions, K]; `UserError` for those that the data cannot have."""
    rows = []
    for position, names in enumerate(read_conditions(file, labels)):
        try:
            rows.append(labels.encode(names))
        except UserError as error:
            raise UserError(f"{file}: condition {position} (counted from 0): {error}") from None
    return torch.stack(rows)
