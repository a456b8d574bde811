"""First weights from another run, or from files: what fits is taken, what does not is listed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ganforge import hub
from ganforge.api import UserError
from ganforge.engine.checkpoint import checkpoint
from ganforge.engine.loop import Loop
from ganforge.outputs.run_folder import RunFolder

FILES = {"network_g": "generator.safetensors", "network_d": "discriminator.safetensors"}
"""Group of a checkpoint -> the file in a folder that is not a run's."""
SHOWN = 6
"""Tensors that a line lists."""


def take(loop: Loop, source: Path | str, say: Callable[[str], None]) -> dict[str, list[str]]:
    """Puts the weights in `source` into a loop's networks, before its first iteration, and into the averages.

    Returns, for each network, what was not taken. Raises `UserError` where `source` is neither a run folder
    nor a folder with weights, here or on the Hub, or where nothing of it fits.
    """
    tensors = _tensors(source, say)
    # A published run has the average alone.
    if "generator" in tensors:
        tensors.setdefault("network_g", tensors["generator"])
    left: dict[str, list[str]] = {}
    total = 0
    for group, network in _networks(loop).items():
        name = FILES[group].removesuffix(".safetensors")
        if group not in tensors:
            say(f"init: {name}: keeps its random weights, as {source} has no {FILES[group]}")
            continue
        taken, left[name] = fit(network, tensors[group])
        total += taken
        say(
            f"init: {name}: {taken} of {len(network.state_dict())} tensors from {source}{_listed(left[name])}"
        )
    if not total:
        raise UserError(
            f"init.from: nothing in {source} fits these networks by name and shape; use the nets of that "
            "run, or leave init.from out"
        )
    for average in loop.averages.values():
        average.network.load_state_dict(loop.game.players["g"].network.state_dict())
        # The average of that run, where it had one, is the better start.
        fit(average.network, tensors.get("generator", {}))
    return left


@torch.no_grad()
def fit(network: nn.Module, tensors: Mapping[str, Tensor]) -> tuple[int, list[str]]:
    """Copies the tensors whose name and shape the network has; how many these were, and the others, each
    in a few words."""
    mine = network.state_dict()
    taken, left = 0, []
    for name, place in mine.items():
        if name not in tensors:
            left.append(f"{name} (only here)")
        elif tensors[name].shape != place.shape:
            left.append(f"{name} (there {list(tensors[name].shape)}, here {list(place.shape)})")
        else:
            place.copy_(tensors[name])
            taken += 1
    left += [f"{name} (only there)" for name in tensors if name not in mine]
    return taken, left


def freeze(networks: Mapping[str, nn.Module], prefixes: tuple[str, ...]) -> None:
    """Marks the parameters that do not learn; `networks`: generator and discriminator by these names. Raises
    `UserError` for a prefix that no parameter's name begins with, and where nothing of a network is left."""
    names = {
        f"{player}.{name}": parameter
        for player, network in networks.items()
        for name, parameter in network.named_parameters()
    }
    for prefix in prefixes:
        found = [p for name, p in names.items() if name == prefix or name.startswith(f"{prefix}.")]
        if not found:
            there = ", ".join(dict.fromkeys(".".join(name.split(".")[:2]) for name in names))
            raise UserError(f"init.freeze: no parameter's name begins with '{prefix}' (there are: {there})")
        for parameter in found:
            parameter.requires_grad_(False)
    for player, network in networks.items():
        if prefixes and not any(parameter.requires_grad for parameter in network.parameters()):
            raise UserError(f"init.freeze: nothing of the {player} would learn; name fewer of its layers")


def _networks(loop: Loop) -> dict[str, nn.Module]:
    return {"network_g": loop.game.players["g"].network, "network_d": loop.game.players["d"].network}


def _tensors(source: Path | str, say: Callable[[str], None]) -> checkpoint.Tensors:
    """Group -> name -> tensor, on the CPU; what is on the Hub is downloaded."""
    try:
        folder = hub.local(source)
    except UserError as error:
        raise UserError(f"init.from: {error}") from error
    files = {group: folder / file for group, file in FILES.items() if (folder / file).is_file()}
    if not files:
        if not folder.is_dir():
            raise UserError(
                f"init.from: expected a run folder, or a folder with {' or '.join(FILES.values())}, got "
                f"{source}, which is {'not a folder' if folder == source else 'neither'}"
            )
        groups = {*FILES, "generator"}
        return checkpoint.load_newest(RunFolder.open(folder).checkpoints, say, groups)[0]
    found: checkpoint.Tensors = {}
    for group, file in files.items():
        try:
            found[group] = load_file(file)
        except (OSError, SafetensorError) as error:
            raise UserError(f"init.from: {file} cannot be read: {error}") from None
    return found


def _listed(left: list[str]) -> str:
    if not left:
        return ""
    more = f", and {len(left) - SHOWN} more (run.json has all)" if len(left) > SHOWN else ""
    return f"; not taken: {', '.join(left[:SHOWN])}{more}"
