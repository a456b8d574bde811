"""A side of the game as a task calls it: one network, or several by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from ganforge.api import Architecture, Task, UserError
from ganforge.components.faults import blame

Run = Callable[..., Any]
"""`run(network, *inputs)`: a forward pass."""


def member_of(network: nn.Module, name: str) -> nn.Module:
    """The member of an `nn.ModuleDict` with that name, or `network` itself for "". Raises `UserError` with
    the members that there are."""
    if not name:
        if isinstance(network, nn.ModuleDict):
            raise UserError(f"expected the name of a network; this side has: {', '.join(network)}")
        return network
    if not isinstance(network, nn.ModuleDict):
        raise UserError(f"no network '{name}': this side is a single network")
    if name not in network:
        raise UserError(f"no network '{name}' on this side; there are: {', '.join(network)}")
    return network[name]


class Team:
    """`team(z, cond)`, or `team["encoder"](z, x)`; what fails inside is the architecture's doing."""

    def __init__(
        self,
        network: nn.Module,
        nets: Architecture,
        run: Run = nn.Module.__call__,
        doing: str = "the generator's forward pass",
    ) -> None:
        self.network = network
        self.nets = nets
        self.run = run
        self.doing = doing

    def __call__(self, *inputs: Any) -> Any:
        network = member_of(self.network, "") if isinstance(self.network, nn.ModuleDict) else self.network
        with blame(self.nets, self.doing):
            return self.run(network, *inputs)

    def __getitem__(self, member: str) -> Team:
        return Team(member_of(self.network, member), self.nets, self.run, self.doing)


def sampled(task: Task, network: nn.Module, nets: Architecture, draw: Any) -> Any:
    """A sample as defined by `task`, from a generator's side in its current state."""
    with blame(task, "sample"):
        return task.sample(Team(network, nets), draw)
