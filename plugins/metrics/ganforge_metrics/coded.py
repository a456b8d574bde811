"""What the metrics of a latent code share: samples, their codes, and the judge's logits."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from ganforge.api import Sampler, UserError
from ganforge.api.judge.judge import load_judge


def judged_codes(
    asker: str, judge_at: Path, code: str, sampler: Sampler, samples: int, seed: int
) -> tuple[Tensor, Tensor]:
    """The codes [N] (int64) of `samples` samples and the judge's logits [N, K].

    Raises `UserError` for an incompatible judge, or if there is no such categorical code; the message
    begins with `asker`, such as "metric 'code_accuracy'".
    """
    judge = load_judge(judge_at)
    kind = judge.card.data.labels.kind
    if kind != "one_of_k":
        raise UserError(f"{asker} needs a one-of-K judge, got one with labels of kind '{kind}'")
    # The data's labels may differ: a code is learned without any.
    judge.refuse_misfit(sampler.spec, labels=False)
    # One sample is enough to list the codes, before all of them are drawn.
    first = sampler.draw(1, seed)[1].codes
    categorical = [name for name, codes in first.items() if not codes.is_floating_point()]
    if code not in categorical:
        there = ", ".join(categorical) or "none; use the prior 'codes'"
        raise UserError(f"{asker}: no categorical code '{code}' (available: {there})")
    images, draw = sampler.draw(samples, seed)
    return draw.codes[code], judge.logits(images)


def contingency(codes: Tensor, logits: Tensor) -> Tensor:
    """int64 [codes, K]: how often a sample of each code is recognized as each class. A sample with
    non-finite outputs counts for none."""
    sound = logits.isfinite().all(1)
    shown = logits[sound].argmax(1)
    table = shown.new_zeros(int(codes.max()) + 1, logits.shape[1])
    return table.index_put_((codes[sound], shown), shown.new_ones(len(shown)), accumulate=True)
