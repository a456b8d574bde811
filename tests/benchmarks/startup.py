"""How long a user waits: for the help, for a check, for a run's first result on data seen before.

cd tests && python -m benchmarks.startup --json startup.json
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
import torch

from benchmarks.settings import machine, write_json
from support.paths import EXAMPLES

EXAMPLE = EXAMPLES / "baselines" / "cgan_iclevr_dcgan.toml"
POLL_S = 0.01


@click.command(context_settings={"show_default": True})
@click.option("--repeats", type=click.IntRange(min=1), default=3, help="Of each; the median counts.")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="A key of the run file, such as data.root=path.",
)
@click.option("--json", "out", type=click.Path(path_type=Path), help="Write all figures into this file.")
def main(repeats: int, overrides: tuple[str, ...], out: Path | None) -> None:
    """Seconds from the command line to what it is for."""
    sets = [word for override in overrides for word in ("--set", override)]
    with tempfile.TemporaryDirectory() as folder:
        # One cache for all: the first run fills it and is not counted.
        environment = {**os.environ, "XDG_CACHE_HOME": str(Path(folder) / "cache")}
        first = _until_first_row(Path(folder) / "first", sets, environment)
        waits: dict[str, Callable[[int], float]] = {
            "ganforge --help": lambda _: _whole(["--help"], environment),
            "ganforge check": lambda _: _whole(["check", str(EXAMPLE)], environment),
            "ganforge run, data cached": lambda turn: _until_first_row(
                Path(folder) / str(turn), sets, environment
            ),
        }
        took = {name: [wait(turn) for turn in range(repeats)] for name, wait in waits.items()}
    click.echo(f"{'ganforge run, first time':28} {first:6.2f} s to the first row of the log")
    for name, seconds in took.items():
        click.echo(
            f"{name:28} {statistics.median(seconds):6.2f} s ({min(seconds):.2f} to {max(seconds):.2f})"
        )
    if out is not None:
        write_json(out, {"machine": machine(torch.device("cpu")), "first_run": first, "seconds": took})


def _whole(words: list[str], environment: dict[str, str]) -> float:
    start = time.perf_counter()
    command = [sys.executable, "-m", "ganforge", *words]
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def _until_first_row(run: Path, sets: list[str], environment: dict[str, str]) -> float:
    """Until the first iteration is over, which has a row of the log; the run then ends by itself."""
    short = ["train.images=64", "logging.grid_every=0", "wandb.mode=disabled"]
    words = ["run", str(EXAMPLE), "--out", str(run), *sets, *(w for s in short for w in ("--set", s))]
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "ganforge", *words],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    log = run / "metrics.jsonl"
    while not (log.exists() and log.stat().st_size) and process.poll() is None:
        time.sleep(POLL_S)
    seconds = time.perf_counter() - start
    if process.wait():
        raise click.ClickException(f"'ganforge {' '.join(words)}' failed with exit code {process.returncode}")
    return seconds


if __name__ == "__main__":
    main()
