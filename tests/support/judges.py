"""Judges that have learned nothing or are made by hand, and noise to show them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ganforge.api import DataSpec, LabelSpec
from ganforge.api.judge.judge import Judge
from ganforge.api.judge.network import JudgeNetwork, build_network

NAMES = ("red", "green", "blue")
SPEC = DataSpec(shape=(3, 16, 16), labels=LabelSpec(kind="many_of_k", names=NAMES, most=3))


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def blank_judge(spec: DataSpec = SPEC, width: int = 2, **card: Any) -> Judge:
    """A judge that has learned nothing."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build_network("small_resnet", spec.shape[0], spec.labels.width, width)
    return Judge.of(network, spec, architecture="small_resnet", width=width, **card)


def channel_judge(spec: DataSpec) -> Judge:
    """A judge by hand: output k is the mean of channel k."""
    network = JudgeNetwork(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), spec.shape[0], spec.shape[0])
    network.load_state_dict(
        {"head.weight": torch.eye(spec.shape[0]), "head.bias": torch.zeros(spec.shape[0])}
    )
    return Judge.of(network, spec, architecture="small_resnet", width=1)
