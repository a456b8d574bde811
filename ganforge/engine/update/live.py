"""The run's own copies of its components: what they remember, their frozen networks, and their ramps."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ganforge.api import Callback, Component, DataSpec, Loss, Play, Prior, Ramp, Shapes, Task, Term
from ganforge.api.component import Each
from ganforge.components.faults import blame, fault
from ganforge.config import RunConfig
from ganforge.engine.distributed.runtime import Runtime


class Live:
    """The components that take part in updates, ready for them.

    A component without memory, frozen networks and ramps is used as it is. Of one that remembers something,
    each comparison of the task has a copy of its own, as the critic of one knows nothing of another's.
    """

    def __init__(
        self, config: RunConfig, spec: DataSpec, shapes: Callable[[], Shapes], device: torch.device
    ) -> None:
        """`shapes`: see `Component.prepare`; only asked for where a component needs them."""
        self.spec = spec
        self.device = device
        self._shapes = shapes
        self.memory: dict[str, Tensor] = {}
        """`terms.0._mean` -> the tensor, on the device."""
        self.own: set[str] = set()
        """Those of which every process has its own."""
        self.frozen: dict[str, nn.Module] = {}
        """`terms.0._vgg` -> a network that nothing trains."""
        self.ramps: list[tuple[Ramp, Tensor]] = []
        self._owners: dict[str, tuple[Component, str]] = {}
        self._twins: dict[tuple[int, str], Component] = {}
        self._origins: dict[int, Component] = {}
        self._gathered: dict[str, Tensor] = {}
        self._plain: list[tuple[Component, str, Any]] = []
        self.nets = config.nets
        self.task: Task = self._copy("task", config.task)
        self.prior: Prior = self._copy("prior", config.prior)
        self.loss: Loss = self._copy("loss", config.loss, twins=True)
        self.terms: tuple[Term, ...] = tuple(
            self._copy(f"terms.{i}", term, twins=True) for i, term in enumerate(config.terms)
        )
        self.callbacks: list[Callback] = [
            self._copy(f"callbacks.{i}", callback) for i, callback in enumerate(config.callbacks)
        ]
        # A call into each callback for each comparison, for nothing, would cost a small network a percent.
        self.before = [each for each in self.callbacks if _overrides(each, "before")]
        self.after = [each for each in self.callbacks if _overrides(each, "after")]
        self.reporting = [each for each in self.callbacks if _overrides(each, "estimates")]

    def of(self, part: Any, play: Play) -> Any:
        """The copy of a loss or term for this comparison."""
        return self._twins.get((id(part), play.name), part) if self._twins else part

    def origin(self, component: Component) -> Component:
        """The component of the run file whose copy this is."""
        return self._origins.get(id(component), component)

    def at(self, images_seen: int) -> None:
        """Sets each number that is a ramp to its value after `images_seen`."""
        for ramp, place in self.ramps:
            place.fill_(ramp.at(images_seen))

    def check(self) -> None:
        """Raises where a component has put another tensor in the place of its memory."""
        for name, (owner, attribute) in self._owners.items():
            now = getattr(owner, attribute)
            if now is not self.memory[name]:
                raise fault(
                    owner,
                    f"its memory '{attribute}' was replaced in an update; change it in place, such as by "
                    f"self.{attribute}.copy_(...)",
                )
            if now.requires_grad:
                raise fault(owner, f"its memory '{attribute}' carries a graph; write detached values into it")

    def undeclared(self) -> list[str]:
        """State that components keep where no checkpoint sees it, each in a few words."""
        return [
            f"{owner.kind} '{owner.type}' keeps state in '{attribute}', which is not in checkpoints "
            f"(declare it: {attribute}: Tensor = memory(...))"
            for owner, attribute, before in self._plain
            if not _same(getattr(owner, attribute), before)
        ]

    def hashes(self) -> dict[str, str]:
        """Name of each frozen network -> SHA-256 of its weights."""
        found = {}
        for name, network in self.frozen.items():
            digest = hashlib.sha256()
            for key, value in sorted(network.state_dict().items()):
                digest.update(key.encode())
                digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
            found[name] = digest.hexdigest()
        return found

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Whatever happens inside, memory is afterwards as it was."""
        values = {name: tensor.clone() for name, tensor in self.memory.items()}
        try:
            yield
        finally:
            with torch.no_grad():
                for name, value in values.items():
                    self.memory[name].copy_(value)

    def gather(self, runtime: Runtime) -> None:
        """Before a checkpoint, in all processes: brings together what each of them remembers for itself."""
        if runtime.world > 1:
            self._gathered = {name: runtime.gather(self.memory[name]) for name in sorted(self.own)}

    def state(self) -> dict[str, dict[str, Tensor]]:
        """The group of tensors of a checkpoint, where there is memory; [world, ...] where each process has
        its own, as of the last `gather`."""
        if not self.memory:
            return {}
        mine = {name: self.memory[name][None] for name in self.own}
        return {"memory": {**self.memory, **mine, **self._gathered}}

    @torch.no_grad()
    def restore(self, tensors: Mapping[str, Tensor], rank: int) -> None:
        """Puts back what a checkpoint has kept; what it does not know starts at its initial value."""
        for name, place in self.memory.items():
            if name in tensors:
                saved = tensors[name]
                # One row a process; a run that goes on with more of them shares them out.
                place.copy_(saved[rank % len(saved)] if name in self.own else saved)

    def _copy(self, path: str, component: Any, twins: bool = False) -> Any:
        if not _has_state(component) and not _ramps(component):
            return component
        remembers = any(
            isinstance(value, Tensor) for value in (component.__pydantic_private__ or {}).values()
        )
        names = list(self._shapes()) if twins and remembers else [""]
        copies = [self._adopt(path if len(names) == 1 else f"{path}/{name}", component) for name in names]
        for name, each in zip(names, copies, strict=True):
            self._twins[id(copies[0]), name] = each
        return copies[0]

    def _adopt(self, path: str, component: Component) -> Component:
        """A copy of `component`, prepared and on the device, whose memory is known by `path`."""
        places = {
            name: torch.tensor(ramp.start, device=self.device) for name, ramp in _ramps(component).items()
        }
        self.ramps += [(ramp, places[name]) for name, ramp in _ramps(component).items()]
        mine = component.copied(**places)
        self._origins[id(mine)] = component
        if _overrides(mine, "prepare"):
            with blame(mine, "prepare"):
                mine.prepare(self.spec, self._shapes())
        for attribute, value in (mine.__pydantic_private__ or {}).items():
            name = f"{path}.{attribute}"
            if isinstance(value, Tensor):
                self.memory[name] = value.to(self.device)
                self._owners[name] = (mine, attribute)
                setattr(mine, attribute, self.memory[name])
                if isinstance(mine.__private_attributes__[attribute], Each):
                    self.own.add(name)
            elif isinstance(value, nn.Module):
                self.frozen[name] = _moved(value, self.device).eval().requires_grad_(False)
            else:
                self._plain.append((mine, attribute, _snapshot(value)))
        return mine


def _moved(network: nn.Module, device: torch.device) -> nn.Module:
    """`network` on the device. What is there already is left alone: fake tensors, with which an iteration is
    rehearsed, cannot be exchanged in a module."""
    state = network.state_dict().values()
    return network if all(tensor.device == device for tensor in state) else network.to(device)


def _ramps(component: Component) -> dict[str, Ramp]:
    """Field -> ramp."""
    return {name: value for name, value in vars(component).items() if isinstance(value, Ramp)}


def _has_state(component: Component) -> bool:
    return bool(component.__private_attributes__) or _overrides(component, "prepare")


def _overrides(component: Component, method: str) -> bool:
    """Whether the component's class has its own `method`, instead of the one that does nothing."""
    base = Component if method == "prepare" else Callback
    return getattr(type(component), method) is not getattr(base, method)


def _snapshot(value: Any) -> Any:
    return value.get_state() if isinstance(value, torch.Generator) else copy.deepcopy(value)


def _same(value: Any, before: Any) -> bool:
    if isinstance(value, torch.Generator):
        value = value.get_state()
    if isinstance(value, Tensor) or isinstance(before, Tensor):
        return isinstance(value, Tensor) and isinstance(before, Tensor) and torch.equal(value, before)
    try:
        return bool(value == before)
    except (TypeError, ValueError, RuntimeError):
        return False
