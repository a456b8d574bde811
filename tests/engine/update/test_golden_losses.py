"""The losses of three examples, update by update: a change of what is minimized, or how, is seen here.

In float64 and with one thread. Two processors, or two builds of torch, may add up in another order, so the
values hold up to rounding: `TOLERANCE` says how much that can be, and a test measures it.

    PYTHONPATH=tests python tests/engine/update/test_golden_losses.py

prints the values, after a change that is meant.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import Tensor

from ganforge.engine.data.batches import Batch
from ganforge.engine.loop import Loop
from ganforge.engine.update.schedule import turns
from support.paths import EXAMPLES
from support.small_runs import open_loop, small
from support.toys import toy_registry

ITERATIONS = 3
TOLERANCE = 1e-9
"""Relative. Between what rounding does and what any other change does.

A sum of n terms, in any order, is right to n x 2^-53 relative to the sum of magnitudes; the longest ones
here have fewer than 10^4 terms, so a layer's output is right to 1e-12. `test_rounding_stays_below_the_tolerance`
disturbs all weights by that much and sees what three iterations make of it. Changes of the update as small as
another epsilon in Adam exceed it, see `test_a_change_of_the_update_exceeds_the_tolerance`.
"""
ROUNDING = 1e-12

GOLDEN: dict[str, list[float]] = {
    "toy/wgan_gp_ring8.toml": [
        -0.121580953184,
        -0.112486243405,
        -0.146211699605,
        -0.067417999223,
        -0.229769948539,
        -0.163788364249,
        -0.234701211689,
        -0.127785287931,
        -0.153139332071,
        -0.197101526666,
        -0.180243125667,
        -0.168070779544,
        -0.109110378425,
        -0.176701191497,
        -0.173006583168,
        -0.125707433755,
        -0.190405141669,
        -0.169997341905,
    ],
    "mnist/infogan.toml": [
        3.992143121235,
        3.497201811411,
        4.023849323410,
        3.407536401114,
        4.183032930325,
        3.222562608366,
    ],
    "mnist/sngan_projection.toml": [
        1.465959844070,
        1.933584765881,
        1.487104918173,
        1.926946836471,
        1.940562775065,
        2.002621093383,
    ],
}
"""Run file of examples/ -> what each update minimizes, in the order of the schedule."""


@contextmanager
def double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


def losses(example: str, folder: Path, change: Callable[[Loop], object] = lambda loop: None) -> list[float]:
    """What each update minimizes, in the order of the schedule, after a `change` of the loop."""
    found: list[Tensor] = []
    with double():
        loop, _ = open_loop(small(EXAMPLES / example, folder, toy_registry(), ITERATIONS), folder)
        change(loop)
        # Not from the log, which is in float32.
        loop.game.measures.objective = lambda role, parts, whole: found.append(whole.detach())  # type: ignore[method-assign]
        for iteration in range(ITERATIONS):
            first = iteration * loop.config.train.d_updates
            for role, batch in turns(loop.schedule, loop.batches.at, first):
                loop.game.update(role, as_double(batch))
    assert {loss.dtype for loss in found} == {torch.float64}
    return [loss.item() for loss in found]


def as_double(batch: Batch) -> Batch:
    return Batch(*(None if each is None else each.double() for each in batch))


def disturb_weights(loop: Loop) -> None:
    """By as much as the rounding of a layer's output."""
    rng = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for player in loop.game.players.values():
            for parameter in player.parameters:
                parameter.mul_(1 + ROUNDING * torch.randn(parameter.shape, generator=rng))


def double_epsilon(loop: Loop) -> None:
    """Of Adam: 2e-8 instead of 1e-8."""
    for player in loop.game.players.values():
        for group in player.optimizer.param_groups:
            group["eps"] *= 2


def change_learning_rate(loop: Loop) -> None:
    """Of the discriminator, by a thousandth of a percent."""
    for group in loop.game.players["d"].optimizer.param_groups:
        group["lr"] *= 1.00001


def shift_seed(loop: Loop) -> None:
    """Other latents."""
    loop.game.seed += 1


def largest_change(found: list[float], expected: list[float]) -> float:
    """Relative to the value, or to 1 where that is smaller."""
    pairs = zip(found, expected, strict=True)
    return max(abs(one - other) / max(1.0, abs(other)) for one, other in pairs)


@pytest.mark.numeric
@pytest.mark.parametrize("example", GOLDEN)
def test_the_losses_are_those_of_before(example: str, tmp_path: Path) -> None:
    assert largest_change(losses(example, tmp_path), GOLDEN[example]) < TOLERANCE


@pytest.mark.numeric
@pytest.mark.parametrize("example", GOLDEN)
def test_rounding_stays_below_the_tolerance(example: str, tmp_path: Path) -> None:
    found = largest_change(losses(example, tmp_path, disturb_weights), GOLDEN[example])
    assert 0 < found < TOLERANCE / 10


@pytest.mark.parametrize("change", [double_epsilon, change_learning_rate, shift_seed])
def test_a_change_of_the_update_exceeds_the_tolerance(
    change: Callable[[Loop], object], tmp_path: Path
) -> None:
    example = "mnist/infogan.toml"
    assert largest_change(losses(example, tmp_path, change), GOLDEN[example]) > 10 * TOLERANCE


if __name__ == "__main__":
    for name in GOLDEN:
        with tempfile.TemporaryDirectory() as place:
            values = ", ".join(f"{value:.12f}" for value in losses(name, Path(place)))
            sys.stdout.write(f'"{name}": [{values}],\n')
