"""What a busy neighbour costs: a training alone, and next to processes that never sleep.

    cd tests && python -m benchmarks.neighbour --json neighbour.json

The ways take turns in processes of their own, so that a machine that slows down slows all of them;
`default` is torch's default, the others are what ganforge could set before torch is loaded.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import torch

from benchmarks.elsewhere import Elsewhere
from benchmarks.measure import Spread, alternate
from benchmarks.settings import Settings, machine, write_json
from ganforge.cli import cores

WAYS: dict[str, dict[str, str]] = {
    "default": {},
    "ganforge": {},
    "spin 0": {"GOMP_SPINCOUNT": "0"},
    "spin 1000": {"GOMP_SPINCOUNT": "1000"},
    "spin 5000": {"GOMP_SPINCOUNT": "5000"},
    "1 thread": {"OMP_NUM_THREADS": "1"},
}
"""Name -> variables of the environment; those of ganforge are its choice next to these neighbours."""


@contextlib.contextmanager
def neighbours(count: int) -> Iterator[None]:
    """`count` processes that compute all the time, until the block ends."""
    code = "while True: pass"
    busy = [subprocess.Popen([sys.executable, "-S", "-c", code]) for _ in range(count)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def environment(way: Mapping[str, str]) -> dict[str, str]:
    """This process's, without what a shell around it has set for OpenMP."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    return {**ours, **way}


def measure(
    work: str, count: int, ways: Mapping[str, Mapping[str, str]], seconds: float, rounds: int, folder: Path
) -> dict[str, Spread]:
    """Images per second of each variant next to `count` neighbours."""
    settings = Settings(64, "cpu")
    job = settings.open(work, folder, "expert")
    with neighbours(count), contextlib.ExitStack() as processes:
        if "ganforge" in ways:
            ours = cores.cores_of_this_process()
            variables, _ = cores.variables_for(len(ours), cores.free_cores() or len(ours))
            ways = {**ways, "ganforge": variables}
        loops = {
            name: processes.enter_context(
                Elsewhere(work, "ganforge", settings, folder, environment(variables))
            )
            for name, variables in ways.items()
        }
        times = alternate(loops, seconds, rounds)
    return {name: Spread.of([job.per_iteration / each for each in took]) for name, took in times.items()}


@click.command(context_settings={"show_default": True})
@click.option("--work", default="dcgan_mnist28", help="A work of the benchmarks.")
@click.option("--neighbours", "counts", multiple=True, default=(0, 1, 3), help="Busy processes; repeatable.")
@click.option("--ways", multiple=True, type=click.Choice(list(WAYS)), help="Repeatable.  [default: all]")
@click.option("--seconds", default=8.0, help="For each way, in all rounds.")
@click.option("--rounds", default=4, help="Turns of each way.")
@click.option("--json", "out", type=click.Path(path_type=Path), help="Write all figures into this file.")
def main(
    work: str, counts: tuple[int, ...], ways: tuple[str, ...], seconds: float, rounds: int, out: Path | None
) -> None:
    """Images per second of a training, alone and next to busy processes."""
    here = machine(torch.device("cpu"))
    click.echo("  ".join(f"{name}: {value}" for name, value in here.items()))
    chosen = {name: WAYS[name] for name in ways or WAYS}
    found: dict[str, dict[str, Any]] = {}
    alone: float | None = None
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            speeds = measure(work, count, chosen, seconds, rounds, Path(folder))
        alone = alone or max(speed.median for speed in speeds.values())
        for name, speed in speeds.items():
            share = speed.median / alone
            click.echo(
                f"{count} neighbours  {name:10} {speed.median:8.4g} images/s ({speed.low:.4g} to "
                f"{speed.high:.4g})  {share:.2f} of the fastest alone"
            )
        found[str(count)] = {name: speed._asdict() for name, speed in speeds.items()}
    if out is not None:
        write_json(out, {"machine": here, "work": work, "images_per_second": found})


if __name__ == "__main__":
    main()
