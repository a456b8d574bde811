"""Buffers that a look must not change."""

from __future__ import annotations

import torch
from torch import nn

from ganforge.engine.instruments.frozen_buffers import kept_buffers


def test_a_look_leaves_the_buffers_as_they_were() -> None:
    network = nn.Sequential(nn.BatchNorm1d(3), nn.utils.parametrizations.spectral_norm(nn.Linear(3, 3)))
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    with kept_buffers([network]):
        network(torch.randn(8, 3))
        assert any(not torch.equal(before[name], buffer) for name, buffer in network.named_buffers())
    for name, buffer in network.named_buffers():
        assert torch.equal(before[name], buffer), name
