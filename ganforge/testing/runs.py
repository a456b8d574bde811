"""Rules that hold for a few iterations of a small run."""

from __future__ import annotations

import random

import numpy as np
import torch

from ganforge.api import UserError
from ganforge.engine.acceleration.graph_replay import CHECKS, WARM_UP, Replays
from ganforge.testing.audit import NETWORK, audited
from ganforge.testing.observer import Silent
from ganforge.testing.rules import EVERY, IN_UPDATES, NotApplicable, Violation, require, rule
from ganforge.testing.subject import Subject, differing, iterate, weights_of
from ganforge.testing.tape import TapeRecording


@rule(
    "offline",
    why="machines of a cluster often have no network, and a build that waits for one looks like a hang.",
    fix="take files from a path given by a key, and raise UserError with the URL if it is missing.",
    kinds=EVERY,
)
def offline(subject: Subject) -> None:
    with audited() as opened:
        try:
            if subject.kind == "data":
                subject.samples(subject.config)
            else:
                subject.loop()
        except UserError as error:
            if subject.kind == "data":
                raise NotApplicable(f"its data cannot be opened here: {error}") from None
        except Exception:
            # Reported by "shapes"; here only the connections count.
            pass
    asked = [f"{event} {where}" for event, where in opened if event in NETWORK]
    require(not asked, f"building it opens a connection: {', '.join(asked[:3])}")


@rule(
    "shapes",
    why="a tensor of another shape or type is broadcast silently, and the run learns something else.",
    fix="return what the base class's docstring says.",
    kinds=IN_UPDATES,
)
def shapes(subject: Subject) -> None:
    loop = subject.loop(every_update=True)
    try:
        before = weights_of(loop)
        iterate(loop, 2)
    except Exception as error:
        raise Violation(_in_words(error)) from error
    after = weights_of(loop)
    lost = [name for name, value in after.items() if value.is_floating_point() and not value.isfinite().all()]
    require(not lost, f"after two iterations {lost[0] if lost else ''} is not finite")
    moved = {name.partition(".")[0] for name in differing(before, after)}
    still = sorted({"network_d", "network_g"} - moved)
    require(not still, f"two iterations change no weight of {' and '.join(still)}")


@rule(
    "deterministic",
    why="equal seeds must give equal runs; otherwise no result can be reproduced, and resume is not exact.",
    fix="draw only from the generator that is passed in (`play.rng`, `generator`, `rng`), and never from "
    "`random`, numpy's or torch's global state.",
    kinds=IN_UPDATES,
)
def deterministic(subject: Subject) -> None:
    found = []
    for seed in (1, 2):
        _seed_globally(seed)
        loop = subject.loop()
        iterate(loop, 2)
        found.append(weights_of(loop))
    wrong = differing(*found)
    require(not wrong, f"two runs with the same seed differ after two iterations, first in {wrong[:1]}")


@rule(
    "resumes",
    why="a run that continues from a checkpoint must continue exactly as if it had not stopped.",
    fix="declare what changes during a run: `_mean: Tensor = memory(0.0)`, and change it in place.",
    kinds=IN_UPDATES,
)
def resumes(subject: Subject) -> None:
    whole = subject.loop()
    iterate(whole, 1)
    tensors, state = whole.state()
    kept = {group: {k: v.clone() for k, v in named.items()} for group, named in tensors.items()}
    rest = subject.loop()
    rest.restore(kept, state)
    undeclared = whole.game.live.undeclared()
    require(not undeclared, "; ".join(undeclared))
    for loop in (whole, rest):
        iterate(loop, 1)
    wrong = differing(weights_of(whole), weights_of(rest))
    require(not wrong, f"a resumed run differs after one iteration, first in {wrong[:1]}")


@rule(
    "bf16",
    why='train.precision = "bf16" is the fastest on current GPUs, and any run file may use it.',
    fix="compute in float32 what needs it (`x.float()`), and create tensors with `like.new_zeros(...)` or "
    "`dtype=x.dtype`.",
    kinds=IN_UPDATES,
)
def bf16(subject: Subject) -> None:
    loop = subject.loop(every_update=True, precision="bf16")
    try:
        iterate(loop, 2)
    except Exception as error:
        raise Violation(f"with train.precision = 'bf16': {_in_words(error)}") from error
    lost = [
        name
        for name, value in weights_of(loop).items()
        if value.is_floating_point() and not value.isfinite().all()
    ]
    require(not lost, f"with train.precision = 'bf16', {lost[:1]} is not finite after two iterations")


@rule(
    "recordable",
    why="on a GPU updates are replayed as CUDA graphs, which is several times as fast for small networks; "
    "one component that cannot be recorded ends that for the whole run.",
    fix="do not read values of tensors in Python (`.item()`, `if tensor`, boolean masks); use "
    "`torch.where`, and `memory` for what changes.",
    kinds=IN_UPDATES,
)
def recordable(subject: Subject) -> None:
    loop = subject.loop(every_update=True)
    loop.replays = Replays(loop.game, loop.schedule, lambda: TapeRecording([loop.game.rng]), loop.say)
    assert isinstance(loop.observer, Silent)
    iterate(loop, WARM_UP + CHECKS + 1)
    said = [line for line in loop.observer.lines if line.startswith("cuda graphs: not used")]
    groups = [group for player in loop.game.players.values() for group in player.optimizer.param_groups]
    if said and subject.kind == "optimizer" and any("capturable" in group for group in groups):
        raise NotApplicable("torch's optimizer can be recorded (`capturable`) on a GPU only")
    require(not said, said[0] if said else "")
    require(loop.replays.recorded > 0, "no update was recorded")


def _seed_globally(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def _in_words(error: Exception) -> str:
    name = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
    return f"{name}{' '.join(str(error).split())}"
