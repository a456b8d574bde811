"""Conditions as networks take them, from labels at rest."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import torch
from torch import Tensor

from ganforge.api import Samples, Tree, leaves, mapped


def as_conditions(labels: Tree) -> Tree:
    """Rows [n, K] as float32; images [n, C, H, W] as float32 in [-1, 1]."""
    return mapped(_as_condition, labels)


def _as_condition(labels: Tensor) -> Tensor:
    if labels.ndim == 4 and labels.dtype == torch.uint8:
        return labels.to(torch.float32, memory_format=torch.channels_last).div_(127.5).sub_(1.0)
    return labels.to(torch.float32)


def conditions(labels: Tree, chosen: Tensor) -> Tree:
    """Those of the samples `chosen` [n]; of a collection that is unpaired with them, in its own order."""
    return as_conditions(mapped(lambda each: each[(chosen % len(each)).to(each.device)], labels))


def count(labels: Tree) -> int:
    """Number of labels at rest; of several by name, the largest."""
    return max(len(each) for each in leaves(labels))


def unpaired(samples: Samples) -> Collection[str]:
    """The names of conditions that belong to no sample; a single condition has the name ""."""
    if isinstance(samples.labels, Mapping):
        return samples.unpaired if samples.paired else list(samples.labels)
    return () if samples.paired else ("",)


def by_name(function: Callable[[str, Tensor], Tensor], labels: Tree) -> Tree:
    """`function(name, labels)` for each condition by name; a single one has the name ""."""
    if isinstance(labels, Mapping):
        return {name: function(name, each) for name, each in labels.items()}
    return function("", labels)
