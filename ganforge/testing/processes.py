"""Rule: two processes that share a batch compute what one does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor

from ganforge.api import Critic, Draw, Play, Role, Stream, Verdict, leaves, mapped
from ganforge.engine.loop import Loop
from ganforge.testing.edges import parts_of
from ganforge.testing.rules import Violation, require, rule
from ganforge.testing.subject import Subject

WORLD = 2
SEED = 11


class Meeting:
    """The mean over processes that are threads here: each waits for the other's tensor."""

    def __init__(self) -> None:
        self.barrier = threading.Barrier(WORLD, timeout=30)
        self.shown: list[Tensor] = [torch.empty(0)] * WORLD

    def mean(self, rank: int) -> Callable[[Tensor], Tensor]:
        def mean(x: Tensor) -> Tensor:
            self.shown[rank] = x.detach()
            self.barrier.wait()
            other = self.shown[1 - rank]
            self.barrier.wait()
            return (x + other) / WORLD

        return mean


@rule(
    "processes",
    why="a run in several processes must minimize what a run in one does; a statistic of a process's own "
    "share of the batch is another objective.",
    fix="return means over samples; take other statistics through `play.mean(...)`, and draw random numbers "
    "of samples through `rows(rng, n, draw)`.",
    kinds=("loss", "terms", "callbacks"),
)
def processes(subject: Subject) -> None:
    if subject.kind == "callbacks":
        _augmented(subject)
        return
    for role in ("d", "g"):
        loop = subject.loop(every_update=True)
        for part, plays in parts_of(subject, loop, role):
            for play in plays:
                _compare(subject, loop, role, part, play)


def _compare(subject: Subject, loop: Loop, role: Role, part: Any, play: Play) -> None:
    live = loop.game.live
    component = live.of(part, play)
    copies = [_twin(component) for _ in range(WORLD)]
    # The logits of an untrained critic are so nearly equal that most statistics of them agree.
    scale = _spread(play)
    play.critic, play.exact_critic = scaled(play.critic, scale), scaled(play.exact_critic, scale)
    whole_play = _share(play, 0, 1, lambda x: x)
    whole = component(whole_play).detach()
    meeting = Meeting()
    shares = [_share(play, rank, WORLD, meeting.mean(rank)) for rank in range(WORLD)]

    def objective(rank: int) -> Tensor:
        try:
            value: Tensor = copies[rank](shares[rank])
            return value.detach()
        except BaseException:
            meeting.barrier.abort()
            raise

    with ThreadPoolExecutor(WORLD) as pool:
        jobs = [pool.submit(objective, rank) for rank in range(WORLD)]
    errors = [error for error in (job.exception() for job in jobs) if error is not None]
    if errors:
        first = next((e for e in errors if not isinstance(e, threading.BrokenBarrierError)), errors[0])
        raise Violation(f"in two processes: {type(first).__name__}: {first}") from first
    together = torch.stack([job.result() for job in jobs]).mean()
    # float32 sums in another order: a few units in the last place of values of a few units.
    close = torch.isclose(together, whole, rtol=1e-4, atol=1e-5)
    require(
        bool(close),
        f"{role}'s update: one process computes {whole.item():.6g}, and two that share the batch "
        f"{together.item():.6g} on average",
    )


def _augmented(subject: Subject) -> None:
    loop = subject.loop()
    callback = next(each for each in loop.game.live.callbacks if each.type == subject.name)
    x = torch.linspace(-1, 1, 4 * 3 * 16 * 16).view(4, 3, 16, 16)
    whole = callback.augment(x, _stream(0, 1))
    halves = [callback.augment(half, _stream(rank, WORLD)) for rank, half in enumerate(x.chunk(WORLD))]
    close = torch.allclose(whole, torch.cat(halves), rtol=1e-4, atol=1e-5)
    require(close, "augment shows samples another way if two processes share the batch")


def _spread(play: Play) -> float:
    """What the logits of the samples are to be multiplied by to have a standard deviation of 1."""
    with torch.no_grad():
        verdicts = play.critic(play.real, play.cond), play.critic(play.fake, play.fake_cond)
        logits = torch.cat([leaf.flatten() for verdict in verdicts for leaf in leaves(verdict.logits)])
    return 1 / max(float(logits.std()), 1e-6)


def scaled(critic: Critic, scale: float) -> Critic:
    """A critic with the logits of `critic` times `scale`."""

    def judge(x: Tensor, cond: Any) -> Verdict:
        verdict = critic(x, cond)
        return verdict._replace(logits=mapped(lambda logits: logits * scale, verdict.logits))

    return judge


def _twin(component: Any) -> Any:
    """A copy with memory of its own; frozen networks are shared."""
    twin = component.model_copy()
    for attribute, value in (component.__pydantic_private__ or {}).items():
        if isinstance(value, Tensor):
            setattr(twin, attribute, value.clone())
    return twin


def _share(play: Play, rank: int, world: int, mean: Callable[[Tensor], Tensor]) -> Play:
    """This process's samples of a play."""
    n = len(play.real) // world

    def mine(value: Any) -> Any:
        if isinstance(value, Tensor) and value.ndim and len(value) == len(play.real):
            return value[rank * n : (rank + 1) * n]
        if isinstance(value, Mapping):
            return {name: mine(each) for name, each in value.items()}
        return value

    draw = Draw(mine(play.draw.z), mine(play.draw.cond), mine(play.draw.codes))
    share = Play(
        play.role,
        mine(play.real),
        mine(play.cond),
        mine(play.fake),
        draw,
        play.critic,
        play.exact_critic,
        _stream(rank, world),
        mean,
        name=play.name,
        fake_cond=mine(play.fake_cond),
        extra=mine(play.extra),
        generator=play.generator,
        discriminator=play.discriminator,
    )
    share.parts.update(play.parts)
    return share


def _stream(rank: int, world: int) -> Stream:
    stream = Stream.of(torch.device("cpu"), rank, world)
    stream.shared.manual_seed(SEED)
    if world > 1:
        stream.manual_seed(SEED + 1 + rank)
    return stream
