"""An optimizer's state as named tensors and plain data, the form in which a checkpoint stores it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def pack(optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
    """An optimizer's state as (tensors by `index.name`, parameter groups as plain data)."""
    state = optimizer.state_dict()
    tensors = {
        f"{index}.{name}": torch.as_tensor(value)
        for index, entry in state["state"].items()
        for name, value in entry.items()
        if value is not None
    }
    # Entries that graph replay adds to a group are not part of the run's state.
    for group in state["param_groups"]:
        group |= {"lr": float(group["lr"])} | ({"capturable": False} if "capturable" in group else {})
    return tensors, state["param_groups"]


def unpack(
    optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor], groups: list[dict[str, Any]]
) -> None:
    """Restores what `pack` took, in the memory format of each parameter: fused kernels iterate
    over weight and moment in storage order."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, _, name = key.partition(".")
        parameter = parameters[int(index)]
        if value.shape == parameter.shape:
            value = torch.empty_like(parameter, requires_grad=False).copy_(value)
        state.setdefault(int(index), {})[name] = value
    # JSON has no tuples; a group's betas come back as the list they became.
    optimizer.load_state_dict({"state": state, "param_groups": groups})
