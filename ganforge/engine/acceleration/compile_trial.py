"""When to run the networks' forward and backward passes compiled by torch.compile.

Terms that differentiate twice use the discriminator's `exact_critic`, which stays eager, and so do the
moving average and everything that samples.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from torch import nn

from ganforge.api import Role
from ganforge.components.faults import ComponentFault
from ganforge.engine.acceleration.dry_run import rehearse
from ganforge.engine.update.game import Game
from ganforge.engine.update.schedule import Turns

Form = Literal["eager", "compiled"]
Forward = Callable[..., Any]
Play = Callable[[Turns, bool], None]
"""Plays the updates of an iteration; the flag says whether it logs."""

BACKEND = "inductor"
WARM_UP = 4
"""Warm-up: eager iterations at the start of a run, which allocate and choose kernels."""
SETTLE = 2
"""Warm-up iterations of each mode, the first in a process, that are not measured."""
TURNS = 40
"""Iterations in which the modes alternate."""
END = WARM_UP + SETTLE + TURNS
"""Iterations after which the mode is chosen."""
MIN_MEASURED = 5
"""Minimum number of measured iterations per mode."""
GAIN = 1.02
"""Minimum speed-up for compiled to be chosen."""

WORKING = "compiling the networks (once, a minute or two) ..."


def form_at(iteration: int) -> Form:
    """The mode of an iteration during the trial; a function of its number alone, so that a resumed run
    does the same. In the order e c c e, so that a machine that slows down slows both."""
    if iteration < WARM_UP:
        return "eager"
    turn = iteration - WARM_UP - SETTLE
    return "compiled" if turn < 0 or turn % 4 in (1, 2) else "eager"


class Trial:
    """Runs each iteration in the current mode, and chooses a mode by measured times."""

    def __init__(self, mode: Literal["off", "auto", "on"], game: Game, say: Callable[[str], None]) -> None:
        """`mode` is `train.compile`; `say` prints a line for the user."""
        self.mode = mode
        self.game = game
        self.say = say
        self.choice: Form | None = {"off": "eager", "auto": None, "on": "compiled"}[mode]
        """The mode of all iterations from now on; None until it is chosen."""
        self._final = False
        """Whether that was measured, here or before a resume, rather than requested."""
        self.times: dict[Form, list[float]] = {"eager": [], "compiled": []}
        """Seconds of the measured iterations."""
        self._here: dict[Form, int] = {"eager": 0, "compiled": 0}
        """Iterations of the trial in this process."""
        self._forms: dict[Form, Mapping[Role, Forward]] = {
            "eager": {role: player.network for role, player in game.players.items()}
        }

    def iterate(self, play: Play, number: int, turns: Turns, measure: bool) -> None:
        """Iteration `number`, counted from 0, by `play`, or eagerly until a mode is chosen. One that logs
        (`measure`) takes longer, and is not measured."""
        form = self.choice or form_at(number)
        if form == "compiled" and "compiled" not in self._forms and not self._compile(turns):
            form = self.choice = "eager"
            self._final = True
        for role, forward in self._forms[form].items():
            self.game.players[role].form = forward
        if self.choice is not None:
            play(turns, measure)
            return
        start = self._now()
        self.game.play(turns, measure)
        seconds = self._now() - start
        self._here[form] += 1
        if self._here[form] > SETTLE and WARM_UP + SETTLE <= number < END and not measure:
            self.times[form].append(seconds)
        if number + 1 >= END:
            self._choose()

    def state(self) -> dict[str, Any]:
        """State for a resumed run, as plain data."""
        return {"mode": self.mode, "choice": self.choice, "times": self.times}

    def restore(self, state: Mapping[str, Any] | None) -> None:
        """Restores `state`; None from a checkpoint without it. A mode once chosen stays, whatever a
        rollback restores; one chosen under another setting is discarded."""
        if state is not None and state["mode"] == self.mode and not self._final:
            self.choice = state["choice"]
            self.times = {
                "eager": list(state["times"]["eager"]),
                "compiled": list(state["times"]["compiled"]),
            }
            self._final = self.choice is not None

    def _compile(self, turns: Turns) -> bool:
        """Whether both networks are now compiled, in all processes."""
        self.say(WORKING)
        before = {role: player.form for role, player in self.game.players.items()}
        compiled: dict[Role, Forward] = {}
        failure = None
        try:
            compiled = {role: _compiled(player.network) for role, player in self.game.players.items()}
            for role, player in self.game.players.items():
                player.form = compiled[role]
            rehearse(self.game, next(iter(turns()))[1])
        except Exception as error:
            failure = error
        finally:
            for role, player in self.game.players.items():
                player.form = before[role]
        if self.game.runtime.any(failure is not None):
            why = reason(failure) if failure is not None else "it failed in another process"
            self.say(
                f"warning: the networks are not compiled ({why}); the run continues without. Set "
                "train.compile = 'off' to start a run that does not try, or, on a machine without a C++ "
                "compiler, install one, such as g++"
            )
            return False
        self._forms["compiled"] = {role: _fixed(forward) for role, forward in compiled.items()}
        return True

    def _choose(self) -> None:
        counts = [len(times) for times in self.times.values()]
        eager, compiled = (statistics.median(times or [0.0]) for times in self.times.values())
        known = min(counts) >= MIN_MEASURED
        faster = torch.tensor(float(known and compiled * GAIN <= eager), device=self.game.runtime.device)
        self.game.runtime.broadcast(faster)
        self.choice = "compiled" if faster.item() else "eager"
        self._final = True
        if not known:
            self.say(
                "compile: kept eager, because too few iterations could be measured: those with a row of the "
                "log (logging.every) are excluded"
            )
        elif self.choice == "compiled":
            self.say(f"compile: chose compiled, {_ms(compiled)} per iteration ({_ms(eager)} eager)")
        else:
            self.say(f"compile: kept eager, {_ms(eager)} per iteration ({_ms(compiled)} compiled)")

    def _now(self) -> float:
        """Current time in seconds, after synchronizing the device."""
        if self.game.runtime.device.type == "cuda":
            torch.cuda.synchronize(self.game.runtime.device)
        return time.perf_counter()


def _compiled(network: nn.Module) -> Any:
    """`network`, to be compiled when it is first called; of an `nn.ModuleDict`, each member by its name. The
    network itself is unchanged."""
    if isinstance(network, nn.ModuleDict):
        return {name: _compiled(member) for name, member in network.items()}

    def forward(*args: Any) -> Any:
        return network(*args)

    # torch caches, and limits, compiled code per code object: each network gets one of its own.
    forward.__code__ = forward.__code__.replace()
    if BACKEND != "inductor":
        return torch.compile(forward, dynamic=False, backend=BACKEND)
    # Layers with random numbers of their own, such as dropout, draw what they would eagerly.
    options: dict[str, Any] = {"fallback_random": True}
    if torch.are_deterministic_algorithms_enabled() and "deterministic" in torch._inductor.list_options():
        # Reductions are not autotuned, which would change the order of their sums.
        options["deterministic"] = True
    return torch.compile(forward, dynamic=False, options=options)


def _fixed(forward: Any) -> Any:
    """Stops compiling: code paths that the dry run did not cover, such as measuring fakes for the log, run
    eagerly. So nothing can fail, or wait for the compiler, in the middle of an update."""
    if isinstance(forward, dict):
        return {name: _fixed(member) for name, member in forward.items()}

    def run(*args: Any) -> Any:
        with torch.compiler.set_stance("eager_on_recompile"):
            return forward(*args)

    return run


def reason(error: BaseException) -> str:
    """The first line of the innermost error."""
    while True:
        cause = error.__cause__ if isinstance(error, ComponentFault) else None
        cause = cause or getattr(error, "inner_exception", None)
        if cause is None:
            break
        error = cause
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {first[:200]}".removesuffix(": ")


def _ms(seconds: float) -> str:
    ms = 1000 * seconds
    return f"{ms:.3g} ms" if ms < 100 else f"{ms:,.0f} ms"
