"""A dry run of an average iteration on fake tensors, counted.

The run's own loop is built and played on fake tensors (`torch._subclasses.fake_tensor`): they have a shape, a
type and a device, but no content, so nothing is read, allocated or computed. What is counted is therefore
what a run does: penalties, heads, callbacks, accumulation, and the engine's own kernels on a CPU. Lazy terms
count by how often they apply.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode

from ganforge.api import Component, Networks, Role, Samples
from ganforge.components.faults import ComponentFault, described
from ganforge.config import Train
from ganforge.engine.data.batches import Batch
from ganforge.engine.distributed.runtime import Runtime
from ganforge.engine.distributed.stop_request import StopRequest
from ganforge.engine.distributed.stragglers import WorkTimer
from ganforge.engine.kernels.im2col import SCRATCH
from ganforge.engine.loop import Loop
from ganforge.engine.update.game import Game
from ganforge.engine.update.live import Live
from ganforge.engine.update.player import Player
from ganforge.profiling.ledger import Call, Ledger, Operation
from ganforge.profiling.silent import Silent
from ganforge.training.build import Plan, assemble, memory_format

DTYPES = {"no": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
"""`train.precision` -> type of the networks' matrix products."""
FAKES = "torch._subclasses"
"""Modules whose exceptions mean that an operation needs content."""


@dataclass(frozen=True)
class Iteration:
    """Cost of an average iteration."""

    operations: Mapping[Operation, float]
    """Operation -> number of calls."""
    calls: Mapping[Operation, Call]
    """An example call of each."""
    kept: int
    """Bytes between two updates: weights, gradients, optimizer state, the moving average."""
    peak: int
    """Peak bytes of tensors, without the data set."""
    left_out: tuple[str, ...]
    """What could not be counted, one line each, for the user."""

    @property
    def flops(self) -> float:
        return sum(operation.flops * times for operation, times in self.operations.items())


def rehearse(agreed: Plan, networks: Networks, device: torch.device) -> Iteration:
    """Plays each kind of update once, with `networks` on the meta device, which are changed. A term or a
    callback that reads values is left out; raises `NeedsNumbers` for any other component that does, and
    `UserError` as a run would."""
    config = agreed.config
    left_out: list[str] = []
    while True:
        try:
            return _rehearse(replace(agreed, config=config), networks, device, tuple(left_out))
        except ComponentFault as error:
            component = error.component
            if not isinstance(component, Component) or not _reads_numbers(error):
                raise
            reason = f"{described(component)} reads the values of tensors, which are known only in a run"
            rest = {
                kind: tuple(each for each in getattr(config, kind) if each is not component)
                for kind in ("terms", "callbacks")
            }
            if all(rest[kind] == getattr(config, kind) for kind in rest):
                raise NeedsNumbers(reason) from error
            left_out.append(reason)
            config, networks = config.model_copy(update=rest), agreed.networks("meta")


class NeedsNumbers(Exception):
    """An iteration cannot be counted without values; the message says why."""


def _reads_numbers(error: BaseException) -> bool:
    """Whether a component failed because fake tensors have no content."""
    cause: BaseException | None = error
    while cause is not None:
        if type(cause).__module__.startswith(FAKES) or "FakeTensor" in str(cause):
            return True
        cause = cause.__cause__
    return False


def _rehearse(agreed: Plan, networks: Networks, device: torch.device, left_out: tuple[str, ...]) -> Iteration:
    train, total = agreed.config.train, Counter[Operation]()
    with _fakes(device), Ledger() as ledger:
        for network in networks:
            _materialize(network, device, memory_format(agreed.spec))
        loop = _loop(agreed, networks, device)
        live = loop.game.live
        kept = ledger.live
        ledger.peak = kept

        def count(times: float, call: Callable[[], Any]) -> Any:
            ledger.operations.clear()
            result = call()
            for operation, calls in ledger.operations.items():
                total[operation] += times * calls
            return result

        batch = count(train.d_updates, lambda: loop.batches.at(0))
        updates: list[tuple[Role, int]] = [("d", train.d_updates), ("g", train.g_updates)]
        for role, turns in updates:
            for number, share in _kinds(loop.game.players[role]).items():
                with _by_origin(live):
                    count(turns * share, _update(loop.game, role, number, batch))
        network = loop.game.players["g"].network
        for average in loop.averages.values():
            count(1, partial(average.update, network, loop.per_iteration, train.images))
        return Iteration(total, {each: ledger.calls[each] for each in total}, kept, ledger.peak, left_out)


@contextmanager
def _by_origin(live: Live) -> Iterator[None]:
    """Attributes faults in the run's own copy of a component to the component of the run file."""
    try:
        yield
    except ComponentFault as error:
        if isinstance(error.component, Component):
            error.component = live.origin(error.component)
        raise


def _kinds(player: Player) -> dict[int, float]:
    """Updates of the player that differ in their terms: index of the first of each kind -> its share."""
    every = math.lcm(*(term.every for term in player.terms.values()))
    terms = player.terms.items()
    due = [frozenset(name for name, term in terms if n % term.every == 0) for n in range(every)]
    return {due.index(kind): due.count(kind) / every for kind in set(due)}


def _update(game: Game, role: Role, number: int, batch: Batch) -> Callable[[], None]:
    """The update with that index, ready to be played."""
    game.kept.clear()
    if role == "g" and game.reuse_fakes:
        game.update("d", batch)
    game.players[role].updates = number
    return lambda: game.update(role, batch)


def _materialize(network: nn.Module, device: torch.device, layout: torch.memory_format) -> None:
    """Replaces tensors on the meta device by fake ones on `device`."""
    known: dict[int, Tensor] = {}

    def fake(tensor: Tensor) -> Tensor:
        if id(tensor) not in known:
            made = torch.empty_like(tensor, device=device)
            if made.ndim == 4 and made.is_floating_point():
                made = made.to(memory_format=layout)
            known[id(tensor)] = nn.Parameter(made) if isinstance(tensor, nn.Parameter) else made
        return known[id(tensor)]

    for module in network.modules():
        # Parameters, buffers, and other attributes.
        places: list[dict[str, Any]] = [module._parameters, module._buffers, vars(module)]
        for tensors in places:
            for name, tensor in tensors.items():
                if isinstance(tensor, Tensor):
                    tensors[name] = fake(tensor)


def _loop(agreed: Plan, networks: Networks, device: torch.device) -> Loop:
    """The run's loop as in the middle of a run: with gradients and optimizer state. Without data reading or
    self-timing."""
    config, spec = agreed.config, agreed.spec
    train = config.train.model_copy(update={"data": "resident", "compile": "off", "cuda_graphs": "off"})
    health = config.health.model_copy(update={"samples": 0})
    agreed = replace(agreed, config=config.model_copy(update={"train": train, "health": health}))
    images = torch.empty(train.batch_size, *spec.shape, dtype=torch.uint8 if spec.is_image else torch.float32)
    labels = spec.labels.mapped(
        lambda part: torch.empty(
            train.batch_size, *part.shape, dtype=torch.uint8 if part.kind == "image" else torch.float32
        )
    )
    with _Copies():
        runtime = _Alone(train, device)
        loop = assemble(agreed, networks, Samples(images, labels), runtime, Silent(), Path())
    for player in loop.game.players.values():
        for parameter in player.parameters:
            parameter.grad = torch.zeros_like(parameter)
        player.optimizer.step()
    return loop


class _Alone(Runtime):
    """A single-process run on `device`, which is not accessed."""

    def __init__(self, train: Train, device: torch.device) -> None:
        self.precision, self.device = train.precision, device
        self.rank, self.world, self.hosts = 0, 1, [""]
        # For the CPU: there is nothing to time.
        self.work_timer, self.stop = WorkTimer(torch.device("cpu")), StopRequest()

    def autocast(self) -> AbstractContextManager[None]:
        if self.precision == "no":
            return nullcontext()
        return torch.autocast(self.device.type, DTYPES[self.precision])

    def scaler(self) -> torch.amp.GradScaler:
        # That of fp16 reads whether there was an overflow.
        return torch.amp.GradScaler(self.device.type, enabled=False)


class _Copies(TorchFunctionMode):
    """Allows `copy.deepcopy` of fake tensors, which accesses their storage."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is not Tensor.__deepcopy__:
            return func(*args, **(kwargs or {}))
        tensor, memo = args
        copied = tensor.detach().clone()
        if isinstance(tensor, nn.Parameter):
            copied = nn.Parameter(copied, tensor.requires_grad)
        return memo.setdefault(id(tensor), copied)


@contextmanager
def _fakes(device: torch.device) -> Iterator[None]:
    """In it, new tensors are fake, and random streams and the kernels' memory are separate."""
    kept, SCRATCH.kept = SCRATCH.kept, {}
    devices = [device] if device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices=devices), FakeTensorMode(allow_non_fake_inputs=True):
            yield
    finally:
        SCRATCH.kept = kept
