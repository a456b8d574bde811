"""Generators and discriminators that come with ganforge: `dcgan`, `mlp`, `resnet`."""

from __future__ import annotations

from collections.abc import Iterable

from ganforge.api import Component, hookimpl
from ganforge_architectures.dcgan import DCGAN
from ganforge_architectures.mlp import MLP
from ganforge_architectures.resnet import ResNet

__all__ = ["DCGAN", "MLP", "ResNet", "ganforge_components"]


@hookimpl
def ganforge_components() -> Iterable[type[Component]]:
    return [DCGAN, MLP, ResNet]
