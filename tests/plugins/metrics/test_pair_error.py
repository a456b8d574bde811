"""The error of pairs, against plain numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ganforge.api import DataSpec, Draw, Samples, UserError
from ganforge_metrics.pair_error import PairError


class Asked:
    """Makes of each condition what a test says, and notes what it was asked for."""

    spec = DataSpec(shape=(1, 2, 2))

    def __init__(self, make: Any) -> None:
        self.make = make

    def sample(self, n: int, seed: int, cond: Tensor | None = None) -> Tensor:
        assert cond is not None
        assert len(cond) == n
        made: Tensor = self.make(cond)
        return made

    def draw(self, n: int, seed: int, cond: Tensor | None = None) -> tuple[Tensor, Draw]:
        raise NotImplementedError


def bytes_of(seed: int, n: int = 6) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, 1, 2, 2), generator=rng, dtype=torch.uint8)


def test_the_errors_of_images() -> None:
    images, labels = bytes_of(1), bytes_of(2)
    found = PairError(samples=6).compute(Asked(lambda cond: cond), Samples(images, labels))
    gap = (labels.numpy().astype(float) - images.numpy().astype(float)).reshape(6, -1) / 127.5
    assert found["pair_l1"] == pytest.approx(np.abs(gap).mean(), rel=1e-5)
    decibels = 20 * np.log10(2 / np.sqrt((gap**2).mean(1)))
    assert found["pair_psnr"] == pytest.approx(decibels.mean(), rel=1e-5)


def test_perfect_pairs_have_a_finite_ratio() -> None:
    images = bytes_of(1)
    found = PairError(samples=6).compute(Asked(lambda cond: cond), Samples(images, images))
    assert found == {"pair_l1": 0.0, "pair_psnr": pytest.approx(20 * np.log10(2 * 255))}


def test_rows_of_numbers_are_taken_as_they_are() -> None:
    points, rows = torch.randn(5, 2), torch.tensor([[0, 1]] * 5, dtype=torch.uint8)
    asked: list[Tensor] = []

    def make(cond: Tensor) -> Tensor:
        asked.append(cond)
        return torch.zeros(len(cond), 2)

    found = PairError(samples=5).compute(Asked(make), Samples(points, rows))
    assert found["pair_l1"] == pytest.approx(points.abs().mean().item())
    assert asked[0].tolist() == [[0.0, 1.0]] * 5


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (Samples(bytes_of(1)), "metric 'pair_error': expected data whose conditions belong to its samples, got no conditions; name other [data] or remove the metric"),
        (Samples(bytes_of(1), bytes_of(2), paired=False), "metric 'pair_error': expected data whose conditions belong to its samples, got conditions that belong to no sample; name other [data] or remove the metric"),
        (Samples(bytes_of(1), bytes_of(2)), "metric 'pair_error' needs 256 samples, but the data has 6; set samples = 6 or less"),
    ],
)  # fmt: skip
def test_data_without_pairs(samples: Samples, message: str) -> None:
    with pytest.raises(UserError) as refusal:
        PairError().compute(Asked(lambda cond: cond), samples)
    assert str(refusal.value) == message
