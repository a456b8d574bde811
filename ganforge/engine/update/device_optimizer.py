"""Optimizers whose step reads nothing from the host: learning rate and step count are tensors on the device.

A CUDA graph can only record such a step. Runs on a GPU use it whether graphs are on or off, so that
both compute the same numbers: the learning rate is a float32 in either.
"""

from __future__ import annotations

import torch
from torch import Tensor


def keep_on_device(optimizer: torch.optim.Optimizer, device: torch.device) -> None:
    """Moves the learning rate and the step counts of `optimizer` to `device`. To be called again after
    `load_state_dict`, which brings back plain numbers; a second call in a row changes nothing."""
    for group in optimizer.param_groups:
        # `set_learning_rate` multiplies the rate that the group started from.
        group.setdefault("initial_lr", float(group["lr"]))
        if not isinstance(group["lr"], Tensor):
            group["lr"] = torch.tensor(group["lr"], dtype=torch.float32, device=device)
        if "capturable" in group and device.type == "cuda":
            group["capturable"] = True
    for state in optimizer.state.values():
        if isinstance(state.get("step"), Tensor):
            state["step"] = state["step"].to(device)
