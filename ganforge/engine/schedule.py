"""The learning-rate schedule, by images seen, so that it means the same at any batch size."""

from __future__ import annotations

import math

import torch

from ganforge.config import LearningRate


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
        group["lr"] = group.setdefault("initial_lr", group["lr"]) * factor
