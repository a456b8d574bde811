"""A clock for the parts of an iteration, and the hooks by which a loop reports what it is doing.

The loop has no code for this: whatever it calls (networks, optimizers, terms, batches, the moving
average) is wrapped or hooked so that the clock knows when a part starts and ends.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, cast

import torch
from torch import nn
from torch.profiler import record_function

from ganforge.api import Role
from ganforge.engine.loop import Loop
from ganforge.engine.update.player import Player

OTHER = "other"
"""Losses, checks, sums for the log: everything that is in no other part."""


class Watch:
    """A clock that always runs for exactly one part. On a GPU it is the device's own time."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.part = OTHER
        self._marks: list[tuple[str, Any]] | None = None
        self._range: record_function | None = None

    def begin(self) -> None:
        """Starts measuring."""
        synchronize(self.device)
        self._marks = []
        self._mark()

    def end(self) -> dict[str, float]:
        """Seconds of each part since `begin`."""
        assert self._marks is not None
        self._mark()
        synchronize(self.device)
        spent: dict[str, float] = defaultdict(float)
        for (part, start), (_, stop) in zip(self._marks, self._marks[1:], strict=False):
            on_gpu = self.device.type == "cuda"
            spent[part] += start.elapsed_time(stop) / 1000 if on_gpu else stop - start
        self._marks = None
        return dict(spent)

    def enter(self, part: str) -> str:
        """Switches to `part`; returns the previous one."""
        before, self.part = self.part, part
        if self._marks is not None and part != before:
            self._mark()
        if self._range is not None:
            self.close_range()
            self.open_range()
        return before

    def open_range(self) -> None:
        """From now on, parts are ranges of torch's profiler."""
        entered: Any = record_function(self.part)
        entered.__enter__()
        self._range = entered

    def close_range(self) -> None:
        if self._range is not None:
            self._range.__exit__(None, None, None)
            self._range = None

    def timed(self, part: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """`call`, attributed to that part, including what it calls."""

        def inside(*args: Any, **kwargs: Any) -> Any:
            before = self.enter(part)
            try:
                return call(*args, **kwargs)
            finally:
                self.enter(before)

        return inside

    def _mark(self) -> None:
        assert self._marks is not None
        if self.device.type == "cuda":
            new: Callable[..., torch.cuda.Event] = torch.cuda.Event
            event = new(enable_timing=True)
            event.record()
            self._marks.append((self.part, event))
        else:
            self._marks.append((self.part, time.perf_counter()))


class _Stand:
    """A proxy for an object with some methods replaced."""

    def __init__(self, real: object, methods: Mapping[str, Callable[..., Any]]) -> None:
        self.__dict__.update(real=real, **methods)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["real"], name)

    def __call__(self, *args: Any) -> Any:
        return self.__dict__["call"](*args)


def attach(loop: Loop, watch: Watch) -> None:
    """Makes `loop` report to `watch` what it is doing."""
    players = loop.game.players
    loop.batches = cast(Any, _Stand(loop.batches, {"at": watch.timed("data", loop.batches.at)}))
    loop.averages = {
        group: cast(Any, _Stand(average, {"update": watch.timed("moving average", average.update)}))
        for group, average in loop.averages.items()
    }
    _watch_forward(players["g"], "generator", players["d"], watch)
    _watch_forward(players["d"], "discriminator", players["d"], watch)
    for role, player in players.items():
        for name, term in player.terms.items():
            call = watch.timed(_name(role, f"term {name}"), term)
            player.terms[name] = cast(Any, _Stand(term, {"call": call}))
        _hook_step(role, player.optimizer, watch)
        player.scaler = cast(
            Any, _Stand(player.scaler, {"scale": _before_backward(role, player.scaler, watch)})
        )


def _watch_forward(player: Player, name: str, critic: Player, watch: Watch) -> None:
    """Forward passes of `player`, compiled or not; those inside a term are attributed to the term."""
    run = player.run

    def inside(network: nn.Module, *inputs: Any) -> Any:
        # A backward pass ends where the next micro-batch starts.
        before = OTHER if watch.part.endswith(": backward") else watch.part
        if ": term " not in watch.part:
            # The discriminator's weights require gradients in its own update, and are frozen otherwise.
            turn: Role = "d" if critic.parameters[0].requires_grad else "g"
            watch.enter(_name(turn, f"{name} forward"))
        try:
            return run(network, *inputs)
        finally:
            watch.enter(before)

    cast(Any, player).run = inside


def _hook_step(role: Role, optimizer: torch.optim.Optimizer, watch: Watch) -> None:
    def pre(*_: Any) -> None:
        watch.enter(_name(role, "optimizer"))

    def post(*_: Any) -> None:
        watch.enter(OTHER)

    optimizer.register_step_pre_hook(pre)
    optimizer.register_step_post_hook(post)


def _before_backward(role: Role, scaler: torch.amp.GradScaler, watch: Watch) -> Callable[[torch.Tensor], Any]:
    """The objective is scaled (by 1 unless in fp16) right before its backward pass, which lasts until
    the optimizer's step or the next micro-batch."""

    def scale(objective: torch.Tensor) -> Any:
        scaled = scaler.scale(objective)
        watch.enter(_name(role, "backward"))
        return scaled

    return scale


def _name(role: Role, what: str) -> str:
    return f"{role.upper()}'s update: {what}"


def synchronize(device: torch.device) -> None:
    """Waits for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
