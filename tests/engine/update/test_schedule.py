"""The learning rate, against a formula written another way."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from ganforge.config import LearningRate
from ganforge.engine.update.schedule import lr_factor, set_learning_rate


@pytest.mark.parametrize(
    ("settings", "seen", "expected"),
    [
        ({}, 0, 1.0),
        ({"warmup_images": 200}, 50, 0.25),
        ({"warmup_images": 200}, 400, 1.0),
        ({"decay": "linear"}, 250, 0.75),
        ({"decay": "linear", "decay_from": 500}, 400, 1.0),
        ({"decay": "linear", "decay_from": 500, "floor": 0.1}, 1000, 0.1),
        ({"decay": "cosine"}, 500, 0.5),
        ({"decay": "cosine"}, 250, (1 + math.sqrt(0.5)) / 2),
        ({"decay": "linear", "warmup_images": 100}, 50, 0.5 * 0.95),
    ],
)
def test_the_learning_rate_follows_the_images(
    settings: dict[str, object], seen: int, expected: float
) -> None:
    schedule = LearningRate.model_validate(settings)
    assert lr_factor(schedule, seen, 1000) == pytest.approx(expected)


def test_the_factor_applies_to_the_first_rate_not_to_the_last() -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.2)
    for factor in (0.5, 0.5, 1.0):
        set_learning_rate(optimizer, factor)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.2)
