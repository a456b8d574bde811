"""The callback `weight_clip`."""

from __future__ import annotations

import copy

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from ganforge_callbacks.weight_clip import WeightClip

pytestmark = pytest.mark.numeric


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 1))


def test_every_parameter_of_the_discriminator_is_clipped(network: nn.Module) -> None:
    before = copy.deepcopy(network)
    WeightClip(limit=0.1).after_update("d", network)
    for clipped, old in zip(network.parameters(), before.parameters(), strict=True):
        assert torch.equal(clipped, old.where(old.abs() <= 0.1, 0.1 * old.sign()))
        assert clipped.requires_grad
        assert clipped.is_leaf
    assert any((p.abs() < 0.1).any() for p in network.parameters())


def test_the_generator_and_buffers_are_left_alone(network: nn.Module) -> None:
    before = copy.deepcopy(network)
    WeightClip().after_update("g", network)
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), before.parameters(), strict=True))
    WeightClip().after_update("d", network)
    assert all(torch.equal(a, b) for a, b in zip(network.buffers(), before.buffers(), strict=True))


def test_default_is_the_limit_of_the_paper(network: nn.Module) -> None:
    WeightClip().after_update("d", network)
    assert max(float(p.detach().abs().max()) for p in network.parameters()) == pytest.approx(0.01)


def test_a_limit_of_0_is_refused() -> None:
    with pytest.raises(ValidationError):
        WeightClip(limit=0.0)
