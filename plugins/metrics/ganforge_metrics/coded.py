"""What the metrics of a latent code share: samples, their codes, and the judge's logits."""

from __future__ import annotations

from torch import Tensor

from ganforge.api import AbsolutePath, Field, Metric, Sampler, UserError
from ganforge.api.judge.judge import load_judge


class CodeMetric(Metric):
    """A metric of a categorical code and the class that a judge assigns to its samples."""

    judge: AbsolutePath = Field(description="A one-of-K judge: a folder from 'ganforge judge train'.")
    samples: int = Field(10_000, ge=1, description="Number of generated samples.")
    code: str = Field("c1", description="Name of a categorical code of the prior, such as 'c1' of 'codes'.")

    def judged(self, sampler: Sampler) -> tuple[Tensor, Tensor]:
        """The codes [N] (int64) of `samples` samples and the judge's logits [N, K].

        Raises `UserError` for an incompatible judge, or if there is no such categorical code.
        """
        judge = load_judge(self.judge)
        kind = judge.card.data.labels.kind
        if kind != "one_of_k":
            raise UserError(
                f"metric '{self.type}' needs a one-of-K judge, got one with labels of kind '{kind}'"
            )
        # The data's labels may differ: a code is learned without any.
        judge.refuse_misfit(sampler.spec, labels=False)
        # One sample is enough to list the codes, before all of them are drawn.
        first = sampler.draw(1, self.seed)[1].codes
        categorical = [name for name, codes in first.items() if not codes.is_floating_point()]
        if self.code not in categorical:
            there = ", ".join(categorical) or "none; use the prior 'codes'"
            raise UserError(f"metric '{self.type}': no categorical code '{self.code}' (available: {there})")
        images, draw = sampler.draw(self.samples, self.seed)
        return draw.codes[self.code], judge.logits(images)


def contingency(codes: Tensor, logits: Tensor) -> Tensor:
    """int64 [codes, K]: how often a sample of each code is recognized as each class. A sample with
    non-finite outputs counts for none."""
    sound = logits.isfinite().all(1)
    shown = logits[sound].argmax(1)
    table = shown.new_zeros(int(codes.max()) + 1, logits.shape[1])
    return table.index_put_((codes[sound], shown), shown.new_ones(len(shown)), accumulate=True)
