"""Rule: two processes that share a batch compute what one does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ganforge.api import Critic, Draw, Play, Role, Stream, Verdict, leaves, mapped
from ganforge.engine.data.batches import Batch
from ganforge.engine.loop import Loop
from ganforge.testing.edges import parts_of
from ganforge.testing.rules import Violation, require, rule
from ganforge.testing.subject import Subject

WORLD = 2
SEED = 11
FAR = 1e-4
"""A relative difference that rounding does not explain: a component may compute in float32 itself."""
NOISE = {torch.float64: 1e-7, torch.float32: 1e-5}
"""An absolute difference that rounding explains, of numbers near 1."""


class Meeting:
    """The mean over processes that are threads here: each waits for the other's tensor."""

    def __init__(self) -> None:
        self.barrier = threading.Barrier(WORLD, timeout=30)
        self.shown: list[Tensor] = [torch.empty(0)] * WORLD

    def mean(self, rank: int) -> Callable[[Tensor], Tensor]:
        def mean(x: Tensor) -> Tensor:
            result: Tensor = _Mean.apply(x, self, rank)
            return result

        return mean

    def exchange(self, rank: int, x: Tensor) -> Tensor:
        """The mean of both threads' tensors."""
        self.shown[rank] = x
        self.barrier.wait()
        mean = torch.stack(self.shown).mean(0)
        self.barrier.wait()
        return mean


class _Mean(torch.autograd.Function):
    """The derivative of the mean over the processes as in a run: the mean of theirs."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, meeting: Meeting, rank: int) -> Tensor:
        ctx.meeting, ctx.rank = meeting, rank
        return meeting.exchange(rank, x.detach())

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        mean: Tensor = _Mean.apply(gradients[0], ctx.meeting, ctx.rank)
        return mean, None, None


class Found(NamedTuple):
    """What a process computes: the value, and its gradient for each parameter of the player whose update it
    is."""

    value: Tensor
    gradients: Sequence[Tensor]


class Failed(Exception):
    """A process failed; the cause is the component's error."""


@rule(
    "processes",
    why="a run in several processes must minimize what a run in one does; a statistic of a process's own "
    "share of the batch is another objective.",
    fix="return means over samples; take other statistics through `play.mean(...)`, which has a gradient to "
    "all processes, and draw random numbers of samples through `rows(rng, n, draw)`.",
    kinds=("loss", "terms", "callbacks"),
)
def processes(subject: Subject) -> None:
    if subject.kind == "callbacks":
        _augmented(subject)
        return
    try:
        with _default_dtype(torch.float64):
            _shared(subject)
    except Violation:
        raise
    except Exception:
        # A component, or another of its example, may insist on float32.
        try:
            _shared(subject)
        except Failed as error:
            raise Violation(str(error)) from error.__cause__


def _shared(subject: Subject) -> None:
    """Values and gradients of both players' updates, in torch's default type."""
    for role in ("d", "g"):
        loop = subject.loop(every_update=True)
        batch = loop.batches.at(0)
        dtype = torch.get_default_dtype()
        cond, conds = (None if x is None else x.to(dtype) for x in (batch.cond, batch.conds))
        batch = Batch(batch.real.to(dtype), cond, conds)
        parameters = loop.game.players[role].parameters
        for part, plays in parts_of(subject, loop, role, batch):
            for play in plays:
                _compare(loop, role, part, play, parameters)


def _compare(loop: Loop, role: Role, part: Any, play: Play, parameters: Sequence[Tensor]) -> None:
    component = loop.game.live.of(part, play)
    # The logits of an untrained critic are so nearly equal that most statistics of them agree.
    scale = _spread(play)
    play.critic, play.exact_critic = scaled(play.critic, scale), scaled(play.exact_critic, scale)
    whole, again = (
        _seeded(seed, _twin(component), _share(play, 0, 1, lambda x: x), parameters) for seed in (1, 2)
    )
    value, gradients = _of_two(component, play, parameters)
    noise = NOISE[torch.get_default_dtype()]
    require(
        bool(torch.isclose(value, whole.value, rtol=FAR, atol=noise)),
        f"{role}'s update: one process computes {whole.value.item():.6g}, and two that share the batch "
        f"{value.item():.6g} on average",
    )
    # Layers draw from torch's global generator, which differs between processes: such as noise of strength 0.
    steady = [
        torch.stack((one, two)).flatten(1)
        for one, other, two in zip(whole.gradients, again.gradients, gradients, strict=True)
        if torch.allclose(one, other, rtol=FAR, atol=noise)
    ]
    one, two = torch.cat(steady, 1) if steady else torch.zeros(2, 1)
    norm, distance = float(one.norm()), float((one - two).norm())
    require(
        distance <= FAR * norm + noise,
        f"{role}'s update: the gradient of one process has norm {norm:.6g}, and the average of two that "
        f"share the batch is {distance:.6g} from it, though the values agree",
    )


def _of_two(component: Any, play: Play, parameters: Sequence[Tensor]) -> Found:
    """The averages of two processes that share the batch."""
    meeting = Meeting()
    shares = [_share(play, rank, WORLD, meeting.mean(rank)) for rank in range(WORLD)]
    copies = [_twin(component) for _ in range(WORLD)]

    def objective(rank: int) -> Found:
        try:
            return _objective(copies[rank], shares[rank], parameters)
        except BaseException:
            meeting.barrier.abort()
            raise

    with ThreadPoolExecutor(WORLD) as pool:
        jobs = [pool.submit(objective, rank) for rank in range(WORLD)]
    errors = [error for error in (job.exception() for job in jobs) if error is not None]
    if errors:
        first = next((e for e in errors if not isinstance(e, threading.BrokenBarrierError)), errors[0])
        raise Failed(f"in two processes: {type(first).__name__}: {first}") from first
    one, two = (job.result() for job in jobs)
    averages = [(a + b) / WORLD for a, b in zip(one.gradients, two.gradients, strict=True)]
    return Found((one.value + two.value) / WORLD, averages)


def _seeded(seed: int, component: Any, play: Play, parameters: Sequence[Tensor]) -> Found:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _objective(component, play, parameters)


def _objective(component: Any, play: Play, parameters: Sequence[Tensor]) -> Found:
    value: Tensor = component(play)
    found: Sequence[Tensor | None] = [None] * len(parameters)
    if value.requires_grad:
        # The fakes' graph belongs to every share.
        found = torch.autograd.grad(value, parameters, allow_unused=True, retain_graph=True)
    gradients = [
        torch.zeros_like(parameter) if gradient is None else gradient
        for parameter, gradient in zip(parameters, found, strict=True)
    ]
    return Found(value.detach(), gradients)


@contextmanager
def _default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """New floating-point tensors are of this type."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def _augmented(subject: Subject) -> None:
    loop = subject.loop()
    callback = next(each for each in loop.game.live.callbacks if each.type == subject.name)
    x = torch.linspace(-1, 1, 4 * 3 * 16 * 16).view(4, 3, 16, 16).requires_grad_()
    whole = callback.augment(x, _stream(0, 1))
    halves = [callback.augment(half, _stream(rank, WORLD)) for rank, half in enumerate(x.chunk(WORLD))]
    close = torch.allclose(whole, torch.cat(halves), rtol=FAR, atol=1e-5)
    require(close, "augment shows samples another way if two processes share the batch")
    if not whole.requires_grad:
        return
    # Any slope that is not the same for all samples.
    slope = torch.linspace(1, 2, whole.numel()).view_as(whole)
    one, two = (torch.autograd.grad((shown * slope).sum(), x)[0] for shown in (whole, torch.cat(halves)))
    close = torch.allclose(one, two, rtol=FAR, atol=1e-5)
    require(close, "augment has another gradient if two processes share the batch")


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
