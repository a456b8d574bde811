"""One side of the game: its networks, their optimizer, and what it minimizes in addition to the loss."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import nn

from ganforge.api import Optimizer, Role, Term, UserError


@dataclass
class Player:
    """The discriminator ("d") or the generator ("g")."""

    role: Role
    network: nn.Module
    """One network, or an `nn.ModuleDict` of several."""
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    terms: dict[str, Term] = field(default_factory=dict)
    """Name in the log -> term."""
    updates: int = 0
    """Optimizer steps taken so far."""
    faster: AbstractContextManager[Any] = field(default_factory=nullcontext)
    """Context in which the forward pass uses the engine's faster convolution kernels."""
    settings: Optimizer | None = None
    """The optimizer's section of the run file, where a ramp changes any of its keys."""
    factors: list[float] = field(default_factory=list)
    """Factor on the learning rate of each parameter group; empty where there is one group."""
    form: Any = field(init=False)
    """What `run` calls in place of `network`: the network itself, or a compiled form of it; of several
    networks a dict of these by name."""
    parameters: list[nn.Parameter] = field(init=False)
    """The network's, without those that `[init] freeze` names; listed once, as to walk through its modules
    takes longer than a small layer."""

    def __post_init__(self) -> None:
        self.form = self.network
        self.parameters = [each for each in self.network.parameters() if each.requires_grad]

    def run(self, network: nn.Module, *inputs: Any) -> Any:
        """The forward pass of this side's network, or of one of its members, as the run does it."""
        if self.form is not self.network:
            return self._form_of(network)(*inputs)
        with self.faster:
            return network(*inputs)

    def _form_of(self, network: nn.Module) -> Callable[..., Any]:
        if network is self.network:
            return cast(Callable[..., Any], self.form)
        forms: dict[str, Callable[..., Any]] = self.form
        return next(forms[name] for name, each in self.network.named_children() if each is network)

    def learn(self, learns: bool) -> None:
        """Whether a backward pass reaches the weights; a frozen rival costs none."""
        for parameter in self.parameters:
            parameter.requires_grad_(learns)

    def forget_gradients(self) -> None:
        """As `Optimizer.zero_grad`, whose bookkeeping for profilers takes longer than the work."""
        for parameter in self.parameters:
            parameter.grad = None

    def due(self, ahead: int = 0) -> dict[str, Term]:
        """The terms that apply in the next update, or in the one `ahead` of it."""
        update = self.updates + ahead
        return {name: term for name, term in self.terms.items() if update % term.every == 0}


def terms_of(role: Role, terms: Iterable[Term]) -> dict[str, Term]:
    """The player's terms by name; a second one of the same type is called `r1_2`."""
    named: dict[str, Term] = {}
    for term in terms:
        if role in term.players:
            same = sum(other.type == term.type for other in named.values())
            named[term.type if not same else f"{term.type}_{same + 1}"] = term
    return named


def groups_of(
    network: nn.Module, factors: Mapping[str, float], lr: float, section: str
) -> tuple[Iterable[nn.Parameter] | list[dict[str, Any]], list[float]]:
    """What an optimizer is built from, and the factor on the learning rate of each of its groups. Raises
    `UserError` where no parameter has a name that begins as `factors` say."""
    if not factors:
        return [each for each in network.parameters() if each.requires_grad], []
    groups: dict[float, list[nn.Parameter]] = {1.0: []}
    found: set[str] = set()
    for name, parameter in network.named_parameters():
        fitting = [prefix for prefix in factors if name == prefix or name.startswith(f"{prefix}.")]
        longest = max(fitting, key=len, default=None)
        found.update(fitting)
        if not parameter.requires_grad:
            continue
        groups.setdefault(1.0 if longest is None else factors[longest], []).append(parameter)
    for prefix in factors:
        if prefix not in found:
            names = ", ".join(dict(network.named_children())) or "none"
            raise UserError(
                f"{section}.lr_factors: no parameter's name begins with '{prefix}' (there are: {names})"
            )
    kept = {factor: parameters for factor, parameters in groups.items() if parameters}
    return [{"params": each, "lr": lr * factor} for factor, each in kept.items()], list(kept)
