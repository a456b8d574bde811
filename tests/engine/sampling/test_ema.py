"""The moving average, against a formula written another way."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ganforge.engine.sampling.ema import MovingAverage


def test_an_average_with_a_half_life_halves_the_distance_in_that_many_images() -> None:
    network = nn.Linear(1, 1)
    average = MovingAverage(network, 1000, 0.0)
    with torch.no_grad():
        network.weight += 8.0
    start = average.network.weight.clone()
    for seen in range(100, 1001, 100):
        average.update(network, 100, seen)
    torch.testing.assert_close(average.network.weight, start + 4.0)


def test_a_young_average_follows_faster() -> None:
    average = MovingAverage(nn.Linear(1, 1), 10_000, 0.05)
    # 0.05 * 2000 images = a half-life of 100.
    assert average.decay(100, 2_000) == pytest.approx(0.5)
    assert average.decay(100, 10_000_000) == pytest.approx(0.5**0.01)
    assert average.decay(100, 0) == 0.0


def test_statistics_are_averaged_and_other_buffers_copied() -> None:
    network = nn.Sequential(nn.BatchNorm1d(2))
    average = MovingAverage(network, 100, 0.0)
    norm, mean = network[0], average.network.get_submodule("0")
    assert isinstance(norm, nn.BatchNorm1d) and isinstance(mean, nn.BatchNorm1d)
    norm.running_mean.fill_(4.0)
    norm.num_batches_tracked.fill_(9)
    average.update(network, 100, 100)
    assert mean.running_mean.tolist() == [2.0, 2.0]
    assert mean.num_batches_tracked.item() == 9
    assert not any(parameter.requires_grad for parameter in average.network.parameters())
