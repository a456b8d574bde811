"""A generator with codes, for the metrics that look for them with a judge."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

import ganforge_metrics.coded as module
from ganforge.api import DataSpec, Draw, LabelKind, LabelSpec, Samples
from ganforge.api.judge.judge import Judge
from support.judges import NAMES, channel_judge

PLAIN = DataSpec(shape=(3, 16, 16))
NO_DATA = Samples(torch.zeros(0, 3, 16, 16, dtype=torch.uint8))


def spec(kind: LabelKind = "one_of_k", side: int = 16) -> DataSpec:
    return DataSpec(shape=(3, side, side), labels=LabelSpec(kind=kind, names=NAMES))


class Coded:
    """A generator without labels whose image has a bright channel for the class of its code."""

    def __init__(self, classes: list[int]) -> None:
        self.spec = PLAIN
        self.classes = torch.tensor(classes)
        self.asked: list[int] = []

    def sample(self, n: int, seed: int, cond: Tensor | None = None) -> Tensor:
        return self.draw(n, seed, cond)[0]

    def draw(self, n: int, seed: int, cond: Tensor | None = None) -> tuple[Tensor, Draw]:
        self.asked.append(n)
        rng = torch.Generator().manual_seed(seed)
        codes = torch.randint(len(self.classes), (n,), generator=rng)
        bright = torch.nn.functional.one_hot(self.classes[codes], 3).float()
        images = (bright * 2 - 1)[:, :, None, None].expand(-1, -1, 16, 16)
        return images, Draw(
            codes[:, None].float(), None, {"c1": codes, "c2": torch.rand(n, 1, generator=rng)}
        )


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every judge finds the class of the brightest channel."""

    def load(path: Path) -> Judge:
        return channel_judge(spec())

    monkeypatch.setattr(module, "load_judge", load)
