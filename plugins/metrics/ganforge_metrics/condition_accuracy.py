"""Whether samples show what was asked for, as a judge sees it.

The protocol of i-CLEVR's evaluation: for a condition with k labels the k highest outputs of the
judge are compared with them; accuracy is hits / wanted over the whole list.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from ganforge.api import AbsolutePath, Field, LabelSpec, Metric, Sampler, Samples, UserError
from ganforge.api.judge.judge import load_judge
from ganforge.api.judge.score import Score, score

MAX_SAMPLES = 100_000


class ConditionAccuracy(Metric):
    """Share of the asked-for labels that a judge finds in the samples (`condition_accuracy`, 0 to
    1), of samples with all of them (`condition_exact_match`), and of samples with each label
    (`condition_recall/...`).

    The most that can be reached is the judge's own accuracy on real images, which 'ganforge judge
    train' reports. `_std` is the standard deviation over the repeats.
    """

    type: Literal["condition_accuracy"] = "condition_accuracy"

    judge: AbsolutePath = Field(
        description="A judge: the folder that 'ganforge judge train' wrote, or a published checkpoint (.pth)."
    )
    conditions: AbsolutePath | None = Field(
        None,
        description='A JSON list of conditions, such as [["red cube"], ["gray sphere", "blue cube"]]; '
        "absent = drawn from the training labels.",
    )
    drawn: int = Field(500, ge=1, description="Conditions to draw where there is no list.")
    n: int = Field(1, ge=1, description="Samples for each condition, in one repeat.")
    repeats: int = Field(10, ge=1, description="Repeats, each with other latents: seed, seed + 1, ...")
    name: str = Field("condition", min_length=1, description="Leads the names of the numbers.")

    def compute(self, sampler: Sampler, data: Samples) -> dict[str, float]:
        """Raises `UserError` for a judge or a list that does not fit the data."""
        labels = sampler.spec.labels
        if labels.kind not in ("one_of_k", "many_of_k"):
            raise UserError(
                f"metric '{self.type}' needs data whose conditions are named labels; these have labels of "
                f"kind '{labels.kind}'"
            )
        judge = load_judge(self.judge, sampler.spec)
        wanted = self._wanted(labels, data).repeat_interleave(self.n, dim=0)
        scores = []
        for repeat in range(self.repeats):
            images = sampler.sample(len(wanted), self.seed + repeat, wanted)
            scores.append(score(judge.logits(images), wanted, labels.names))
        return self._figures(scores)

    def _wanted(self, labels: LabelSpec, data: Samples) -> Tensor:
        """The conditions as rows [conditions, K]."""
        if self.conditions is not None:
            rows = read_conditions(self.conditions, labels)
        else:
            assert data.labels is not None
            carry = data.labels.cpu().float()
            carry = carry[carry.sum(1) > 0]
            rng = torch.Generator().manual_seed(self.seed)
            rows = carry[torch.randint(len(carry), (self.drawn,), generator=rng)]
        if len(rows) * self.n > MAX_SAMPLES:
            raise UserError(
                f"metric '{self.type}' asks for {len(rows) * self.n:,} samples at once, more than "
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
        # Each repeat has the same conditions, so the mean of the repeats is that of all samples.
        for label in scores[0].recall:
            mean = sum(each.recall[label] for each in scores) / len(scores)
            figures[f"{self.name}_recall/{label}"] = mean
        return figures


def read_conditions(file: Path, labels: LabelSpec) -> Tensor:
    """The conditions of a JSON list of lists of names, as rows [conditions, K].

    Raises `UserError` for another file, and for names or numbers of names that the data cannot have.
    """
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file}: not JSON: {error}") from None
    if not isinstance(found, list) or not found:
        raise UserError(f'{file}: expected a list of conditions, such as [["red cube"], ["gray sphere"]]')
    rows = []
    for position, names in enumerate(found):
        where = f"{file}: condition {position} (counted from 0)"
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise UserError(f"{where} is no list of names: {json.dumps(names)[:60]}")
        try:
            rows.append(labels.encode(names))
        except UserError as error:
            raise UserError(f"{where}: {error}") from None
    return torch.stack(rows)
