"""Who plays when, and the learning rate by images seen, so that it means the same at any batch size."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from ganforge.api import Role
from ganforge.config import LearningRate
from ganforge.engine.data.batches import Batch

Turns = Callable[[], Iterator[tuple[Role, Batch]]]
"""The updates of an iteration in their order: who plays, and with which batch. May be asked for twice."""


def turns(schedule: Sequence[Role], at: Callable[[int], Batch], first: int) -> Iterator[tuple[Role, Batch]]:
    """Each update of D sees a fresh batch, from batch `first` on; G's sees the last of them."""
    batch = None
    for position, role in enumerate(schedule):
        if role == "d" or batch is None:
            batch = at(first + position)
        yield role, batch


def lr_factor(schedule: LearningRate, images_seen: int, images: int) -> float:
    """Factor on the base learning rate after `images_seen` of `images`."""
    factor = 1.0
    if schedule.warmup_images:
        factor = min(1.0, images_seen / schedule.warmup_images)
    if schedule.decay != "none":
        span = max(1, images - schedule.decay_from)
        done = min(1.0, max(0.0, (images_seen - schedule.decay_from) / span))
        left = 1.0 - done if schedule.decay == "linear" else 0.5 * (1.0 + math.cos(math.pi * done))
        factor *= schedule.floor + (1.0 - schedule.floor) * left
    return factor


def set_learning_rate(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Applies the factor to the rate each parameter group started from."""
    for group in optimizer.param_groups:
        rate = group.setdefault("initial_lr", group["lr"]) * factor
        # A recorded step reads it from where it lies.
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate
