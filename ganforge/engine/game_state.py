"""What a checkpoint keeps of a game, and putting it back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ganforge.engine.checkpoint import checkpoint, optimizer_state
from ganforge.engine.update.device_optimizer import keep_on_device
from ganforge.engine.update.game import Game


def pack_game(game: Game) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
    """Weights, optimizer moments and the components' memory as tensors by group, the rest as plain data."""
    tensors: dict[str, dict[str, Tensor]] = {}
    players: dict[str, Any] = {}
    for role, player in game.players.items():
        tensors[f"network_{role}"] = checkpoint.weights(player.network)
        tensors[f"optimizer_{role}"], groups = optimizer_state.pack(player.optimizer)
        scaler = player.scaler.state_dict()
        players[role] = {"updates": player.updates, "groups": groups, "scaler": scaler}
    tensors |= game.live.state()
    return tensors, {
        "tally": game.means.state(),
        "players": players,
        "undeclared": game.live.undeclared(),
    }


def unpack_game(game: Game, tensors: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any]) -> None:
    """Puts back what `pack_game` returned; `checkpoint.MISFITS` where it is of other networks."""
    game.means.restore(state["tally"])
    for role, player in game.players.items():
        saved = state["players"][role]
        player.network.load_state_dict(dict(tensors[f"network_{role}"]))
        optimizer_state.unpack(player.optimizer, tensors[f"optimizer_{role}"], saved["groups"])
        player.updates = saved["updates"]
        if game.runtime.device.type == "cuda":
            keep_on_device(player.optimizer, game.runtime.device)
        if saved["scaler"]:
            player.scaler.load_state_dict(saved["scaler"])
    game.live.restore(tensors.get("memory", {}), game.runtime.rank)
