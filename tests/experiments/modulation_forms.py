"""Which form of a modulated convolution is faster: scaled, or grouped by samples.

    cd tests && OMP_NUM_THREADS=1 python -m experiments.modulation_forms [--device cuda] [--precision bf16]

Forward and backward pass of one 3x3 layer in training, both forms in turns in one process, so that a machine
that slows down slows both. The ratio is the time of the scaled form over that of the grouped one: above 1, the
grouped form is faster. Medians over the rounds; the last column is what `faster_form` chooses.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import click
import torch
from torch import Tensor

from benchmarks.bound import synchronize
from ganforge.engine.kernels.fast_convolutions import OURS
from ganforge.engine.kernels.malloc import keep_freed_memory
from ganforge.engine.kernels.override import Replacing
from ganforge_architectures.modulated import faster_form, grouped, scaled

Form = Callable[[Tensor, Tensor, Tensor, bool, bool], Tensor]


class Layer:
    """x [n, channels, side, side], one weight for all samples, a style each."""

    def __init__(self, n: int, channels: int, side: int, up: bool, device: torch.device) -> None:
        self.up, self.device = up, device
        # As the engine has them.
        self.x = torch.randn(n, channels, side, side, device=device).to(memory_format=torch.channels_last)
        self.weight = torch.randn(channels, channels, 3, 3, device=device)
        self.weight = self.weight.to(memory_format=torch.channels_last)
        self.style = torch.randn(n, channels, device=device)
        for each in (self.x, self.weight, self.style):
            each.requires_grad_(True)

    def step(self, form: Form, cast: AbstractContextManager[object]) -> None:
        with cast:
            y = form(self.x, self.weight, self.style, True, self.up)
        torch.autograd.grad(y, [self.x, self.weight, self.style], torch.ones_like(y))

    def seconds(self, form: Form, cast: AbstractContextManager[object], times: int) -> float:
        synchronize(self.device)
        began = time.perf_counter()
        for _ in range(times):
            self.step(form, cast)
        synchronize(self.device)
        return (time.perf_counter() - began) / times


def ratio(
    layer: Layer, cast: AbstractContextManager[object], rounds: int, least: float
) -> tuple[float, float]:
    """Seconds of the scaled form over those of the grouped one, and of the scaled one; each turn lasts
    `least` seconds, and at least one pass."""
    once = [max(layer.seconds(form, cast, 1) for _ in range(2)) for form in (scaled, grouped)]
    times = max(1, round(least / max(once)))
    found, alone = [], []
    for turn in range(rounds):
        order = (scaled, grouped) if turn % 2 else (grouped, scaled)
        took = {form: layer.seconds(form, cast, times) for form in order}
        found.append(took[scaled] / took[grouped])
        alone.append(took[scaled])
    return statistics.median(found), statistics.median(alone)


@click.command(context_settings={"show_default": True})
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu")
@click.option("--precision", type=click.Choice(["no", "bf16"]), default="no", help="As train.precision.")
@click.option("--batch", multiple=True, type=int, default=(1, 2, 4, 8, 16, 32), help="Repeatable.")
@click.option("--side", multiple=True, type=int, default=(4, 8, 16, 32, 64, 128), help="Of x; repeatable.")
@click.option("--channels", multiple=True, type=int, default=(16, 64, 128, 512), help="Repeatable.")
@click.option("--up", type=click.Choice(["no", "yes", "both"]), default="both", help="Doubled sides.")
@click.option("--rounds", type=click.IntRange(min=1), default=7)
@click.option("--least", type=float, default=0.02, help="Seconds of a turn.")
@click.option("--gflops", type=float, default=60.0, help="Layers of more than that are left out.")
def main(
    device: str,
    precision: str,
    batch: tuple[int, ...],
    side: tuple[int, ...],
    channels: tuple[int, ...],
    up: str,
    rounds: int,
    least: float,
    gflops: float,
) -> None:
    """Print a row for each layer."""
    where = torch.device(device)
    cast = torch.autocast(device, torch.bfloat16, enabled=precision == "bf16")
    keep_freed_memory()  # as in training
    kernels = Replacing(OURS) if device == "cpu" else nullcontext()
    ups = {"no": (False,), "yes": (True,), "both": (False, True)}[up]
    click.echo("channels  side  up   batch  scaled ms  scaled / grouped  chosen")
    for width, pixels, doubled, n in itertools.product(channels, side, ups, batch):
        if 6 * 9 * width**2 * pixels**2 * n > gflops * 1e9:
            continue
        torch.manual_seed(0)
        with kernels:
            found, alone = ratio(Layer(n, width, pixels, doubled, where), cast, rounds, least)
        chosen = faster_form(device, n, width, width, pixels**2 * (4 if doubled else 1))
        click.echo(
            f"{width:8}  {pixels:4}  {'yes' if doubled else 'no':3}  {n:5}  {1e3 * alone:9.2f}  {found:16.2f}  {chosen}"
        )


if __name__ == "__main__":
    main()
