"""Who plays when, and what changes by images seen, so that it means the same at any batch size."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from ganforge.api import Optimizer, Ramp, Role
from ganforge.config import LearningRate
from ganforge.engine.data.batches import Batch
from ganforge.engine.update.player import Player

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


def has_ramps(settings: Optimizer) -> bool:
    """Whether a ramp changes any key of an optimizer's section."""
    return at(settings, 0) is not settings


def at(settings: Optimizer, images_seen: int) -> Optimizer:
    """An optimizer's section after `images_seen`: its ramps replaced by numbers; itself where it has none."""
    now = {name: _at(value, images_seen) for name, value in vars(settings).items()}
    changed = {name: value for name, value in now.items() if value is not getattr(settings, name)}
    return settings.model_copy(update=changed) if changed else settings


def _at(value: Any, images_seen: int) -> Any:
    if isinstance(value, Ramp):
        return value.at(images_seen)
    if isinstance(value, tuple) and any(isinstance(each, Ramp) for each in value):
        return tuple(_at(each, images_seen) for each in value)
    return value


def scheduled_in_python(player: Player) -> bool:
    """Whether a ramp changes a key of the optimizer other than its learning rate, which is a tensor on the
    device: a recorded step would keep the value that it was recorded with."""
    settings = player.settings
    return settings is not None and at(settings, 0).scheduled() != at(settings, 2**62).scheduled()


def set_hyperparameters(player: Player, factor: float, images_seen: int) -> None:
    """Brings a player's optimizer to this point of the run: its ramps, and the `factor` of `[lr]`."""
    if player.settings is not None:
        now = at(player.settings, images_seen)
        for group, share in zip(player.optimizer.param_groups, player.factors or [1.0], strict=False):
            group |= {"initial_lr": now.rate() * share, **now.scheduled()}
    set_learning_rate(player.optimizer, factor)


def set_learning_rate(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Applies the factor to the rate each parameter group started from."""
    for group in optimizer.param_groups:
        rate = group.setdefault("initial_lr", group["lr"]) * factor
        # A recorded step reads it from where it lies.
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate
