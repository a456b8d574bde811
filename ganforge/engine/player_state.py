"""What a checkpoint keeps of the players, and putting it back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ganforge.api import Role
from ganforge.engine.checkpoint import checkpoint
from ganforge.engine.update.device_optimizer import keep_on_device
from ganforge.engine.update.player import Player


def pack_players(players: Mapping[Role, Player]) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
    """Weights and optimizer moments as tensors by group, the rest as plain data by player."""
    tensors: dict[str, dict[str, Tensor]] = {}
    state: dict[str, Any] = {}
    for role, player in players.items():
        tensors[f"network_{role}"] = checkpoint.weights(player.network)
        tensors[f"optimizer_{role}"], groups = checkpoint.pack_optimizer(player.optimizer)
        scaler = player.scaler.state_dict()
        state[role] = {"updates": player.updates, "groups": groups, "scaler": scaler}
    return tensors, state


def unpack_players(
    players: Mapping[Role, Player],
    tensors: Mapping[str, Mapping[str, Tensor]],
    state: Mapping[str, Any],
    device: torch.device,
) -> None:
    """Puts back what `pack_players` returned; one of `checkpoint.MISFITS` where it is of other networks."""
    for role, player in players.items():
        saved = state[role]
        player.network.load_state_dict(dict(tensors[f"network_{role}"]))
        checkpoint.unpack_optimizer(player.optimizer, tensors[f"optimizer_{role}"], saved["groups"])
        player.updates = saved["updates"]
        if device.type == "cuda":
            keep_on_device(player.optimizer, device)
        if saved["scaler"]:
            player.scaler.load_state_dict(saved["scaler"])
