"""Mode coverage on stacked MNIST: how many of its 1,000 modes a generator reaches, and how evenly.

Unrolled Generative Adversarial Networks (Metz et al., 2017), arXiv:1611.02163, section 3.3.1; with
26,000 samples, as in VEEGAN (Srivastava et al., 2017), arXiv:1705.07761, and PacGAN (Lin et al., 2018),
arXiv:1712.04086.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ganforge.api import AbsolutePath, Field, Metric, Sampler, Samples, UserError
from ganforge.api.judge.features import choose_real, real
from ganforge.api.judge.judge import Judge, load_judge

CLASSES = 10
MODES = CLASSES**3
SIDES = (28, 32)
"""Those of data 'mnist' and 'stacked_mnist': the larger has two rows of black on each side."""


class StackedMNIST(Metric):
    """Modes of data 'stacked_mnist' with at least one sample (`stacked_mnist_modes`, best is 1,000), and
    KL(generated || data) over the modes in nats (`stacked_mnist_kl`, best is 0). A judge of MNIST
    classifies each channel.

    The data's distribution over modes is the product of the digit frequencies of each channel, as
    classified by the same judge; `stacked_mnist_kl_uniform` assumes equally frequent modes instead, as
    papers often do. Real images do not give 0: a table of 1,000 modes and N samples adds about 500 / N.
    """

    type: Literal["stacked_mnist"] = "stacked_mnist"
    example: ClassVar[Mapping[str, Any]] = {"metrics": [{"type": "stacked_mnist", "judge": "judge"}]}
    source: ClassVar[str] = (
        "Unrolled Generative Adversarial Networks (Metz et al., 2017), arXiv:1611.02163, section 3.3.1; "
        "PacGAN: The Power of Two Samples in Generative Adversarial Networks (Lin et al., 2018), "
        "arXiv:1712.04086"
    )

    judge: AbsolutePath = Field(
        description="A judge of MNIST digits: a folder from 'ganforge judge train' on data 'mnist'."
    )
    samples: int = Field(26_000, ge=1, description="Number of generated samples.")
    real: int = Field(10_000, ge=1, description="Real samples to estimate digit frequencies from.")

    def compute(self, sampler: Sampler, samples: Samples) -> dict[str, float]:
        """Raises `UserError` for images other than stacked digits, an incompatible judge, and for too few
        real samples."""
        shape = sampler.spec.shape
        if len(shape) != 3 or shape[0] != 3 or shape[1] != shape[2] or shape[1] not in SIDES:
            raise UserError(
                f"metric '{self.type}' needs stacked digits, as from data '{self.type}', got samples of "
                f"shape {shape}"
            )
        judge = self._judge()
        chosen = choose_real(samples, self.real, self.seed, f"metric '{self.type}'")
        frequent = frequencies(_stacked(judge, real(samples, chosen)))
        return figures(_stacked(judge, sampler.sample(self.samples, self.seed)), frequent)

    def _judge(self) -> Judge:
        judge = load_judge(self.judge)
        made_for = judge.card.data
        if (
            made_for.shape not in [(1, side, side) for side in SIDES]
            or made_for.labels.kind != "one_of_k"
            or made_for.labels.width != CLASSES
        ):
            raise UserError(
                f"metric '{self.type}' needs a judge of ten digits of 1x28x28 or 1x32x32, got one of "
                f"{made_for.labels.width} labels of {'x'.join(map(str, made_for.shape))}; train one with "
                "data 'mnist'"
            )
        return judge


def read_digits(judge: Judge, channels: Tensor) -> Tensor:
    """The judge's digit for each of `channels` [N, 1, S, S]: int64 [N]; -1 if its outputs are non-finite. A
    black border is added or removed to match the judge."""
    border = (judge.card.data.shape[1] - channels.shape[2]) // 2
    logits = judge.logits(F.pad(channels, (border,) * 4, value=-1.0))
    return logits.argmax(1).masked_fill(~logits.isfinite().all(1), -1)


def frequencies(digits: Tensor) -> Tensor:
    """Expected frequency of each mode, for `digits` [N, 3] with independent columns: float64 [1000]."""
    red, green, blue = (
        torch.bincount(column[column >= 0], minlength=CLASSES).double() / len(column) for column in digits.T
    )
    return (red[:, None, None] * green[:, None] * blue).flatten()


def figures(digits: Tensor, expected: Tensor) -> dict[str, float]:
    """Modes hit, and the two divergences, of `digits` [N, 3] where `expected` [1000] are the data's
    frequencies. A sample with an unclassified channel belongs to no mode."""
    sound = digits[(digits >= 0).all(1)]
    modes = sound @ sound.new_tensor([CLASSES**2, CLASSES, 1])
    counts = torch.bincount(modes, minlength=MODES)
    return {
        "stacked_mnist_modes": float((counts > 0).sum()),
        "stacked_mnist_kl": divergence(counts, expected),
        "stacked_mnist_kl_uniform": divergence(counts, torch.full_like(expected, 1 / MODES)),
    }


def divergence(counts: Tensor, expected: Tensor) -> float:
    """KL(counts || expected) in nats, of counts and frequencies [B]; NaN without any count."""
    if not counts.any():
        return math.nan
    seen = counts > 0
    share = counts[seen].double() / counts.sum()
    return float((share * (share / expected[seen]).log()).sum())


def _stacked(judge: Judge, images: Tensor) -> Tensor:
    """The digits [N, 3] in the channels of `images` [N, 3, S, S]."""
    return torch.stack([read_digits(judge, images[:, channel : channel + 1]) for channel in range(3)], dim=1)
