"""How far `ganforge check` is from real runs: time and memory of every example.

    cd tests && python -m experiments.check_against_runs --mnist ROOT --iclevr ROOT --out FOLDER

Check and run are each a process, and take turns, so that a machine that slows down slows both. On one thread
of a CPU the times are processor time, which other processes change less than the clock on the wall; the
wall-clock time is recorded as well. Peak memory is that of the whole process, as the system tells it, or of the
GPU's tensors; to what check says the data set is added, of which it knows one sample.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click
import torch

from benchmarks.memory import _resident_peak
from benchmarks.settings import machine, write_json
from ganforge.api import Context
from ganforge.components.registry import discover
from ganforge.config import RunConfig, load
from ganforge.engine.distributed.runtime import Runtime
from ganforge.profiling import preflight
from ganforge.profiling.rates import clock_of, synchronize
from ganforge.profiling.silent import Silent
from ganforge.training.build import build_loop, load_samples, plan

TESTS = Path(__file__).resolve().parent.parent
EXAMPLES = TESTS.parent / "examples"
FIGURES = ("seconds", "wall", "peak_mib", "data_mib")
WARM_UP = 3
"""Iterations that do not count: the first ones allocate, and choose kernels."""
MIN_ROUNDS = 2
"""Iterations of a turn."""


class Check:
    """What `ganforge check` says, each time with rates measured again."""

    def __init__(self, config: RunConfig) -> None:
        self.train, self.found = config.train, preflight.preflight(config)

    def turn(self, seconds: float) -> dict[str, float]:
        cost = self.found.cost
        assert cost is not None and self.found.peak_bytes is not None, self.found.notes
        device, _ = preflight._device(self.train)
        again = preflight._cost(cost.iteration, self.train, device).seconds
        return {"seconds": again, "wall": again, "peak_mib": self.found.peak_bytes / 2**20, "data_mib": 0.0}


class Run:
    """The loop of `ganforge run`, between two rows of the log."""

    def __init__(self, config: RunConfig) -> None:
        agreed, self.runtime = plan(config), Runtime(config.train)
        with tempfile.TemporaryDirectory() as folder:
            context = Context(Path(folder), lambda line: None, lambda items, total, what: iter(items))
            samples = load_samples(config, agreed.spec, context)
            self.loop = build_loop(agreed, samples, self.runtime, Silent(), Path(folder))
        # Streamed data take next to nothing.
        self.data = 0 if self.loop.batches.streams else samples.images.nbytes
        for _ in range(WARM_UP):
            self.loop._iterate(False)

    def turn(self, seconds: float) -> dict[str, float]:
        device = self.runtime.device
        clock, done = clock_of(device), 0
        synchronize(device)
        started, began = clock(), time.perf_counter()
        while done < MIN_ROUNDS or time.perf_counter() - began < seconds:
            self.loop._iterate(False)
            done += 1
        synchronize(device)
        spent, wall = (clock() - started) / done, (time.perf_counter() - began) / done
        peak = torch.cuda.max_memory_allocated() / 2**20 if device.type == "cuda" else _resident_peak()
        return {"seconds": spent, "wall": wall, "peak_mib": peak, "data_mib": self.data / 2**20}


class Worker:
    """One of the two in a process of its own, which takes a turn when it is told."""

    def __init__(self, side: str, arguments: Iterable[str]) -> None:
        command = [sys.executable, "-m", "experiments.check_against_runs", "--side", side, *arguments]
        self.process = subprocess.Popen(
            command, cwd=TESTS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def turn(self) -> dict[str, float]:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write("turn\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args!r} ended with {self.process.wait()}")
        found: dict[str, float] = json.loads(line)
        return found

    def end(self) -> None:
        self.process.communicate()


def compare(example: Path, options: list[str], seconds: float, rounds: int) -> dict[str, Any]:
    """The medians of both sides."""
    arguments = ["--only", str(example), "--seconds", str(seconds), *options]
    workers = {side: Worker(side, arguments) for side in ("check", "run")}
    turns: dict[str, list[dict[str, float]]] = {side: [] for side in workers}
    try:
        for turn in range(rounds):
            for side in sorted(workers, reverse=turn % 2 == 1):
                turns[side].append(workers[side].turn())
    finally:
        for worker in workers.values():
            worker.end()
    medians = {
        side: {figure: statistics.median(each[figure] for each in found) for figure in FIGURES}
        for side, found in turns.items()
    }
    # Check says how large a sample is, and not how many there are.
    medians["check"]["peak_mib"] += medians["run"]["data_mib"]
    return {"example": str(example.relative_to(EXAMPLES).with_suffix("")), **medians, "turns": turns}


def table(found: Iterable[Mapping[str, Any]]) -> str:
    """The comparison as Markdown."""
    lines = [
        "| example | check, s an iteration | run, s an iteration | check / run "
        "| check, peak MiB | run, peak MiB | check / run |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for each in found:
        check, run = each["check"], each["run"]
        lines.append(
            f"| {each['example']} | {check['seconds']:.3g} | {run['seconds']:.3g} "
            f"| {check['seconds'] / run['seconds']:.2f} | {check['peak_mib']:,.0f} | {run['peak_mib']:,.0f} "
            f"| {check['peak_mib'] / run['peak_mib']:.2f} |"
        )
    return "\n".join(lines)


def serve(side: str, config: RunConfig, seconds: float) -> None:
    """Takes turns until the parent closes the line."""
    worker = {"check": Check, "run": Run}[side](config)
    for _ in sys.stdin:
        click.echo(json.dumps(worker.turn(seconds)))


def _load(example: Path, mnist: str, iclevr: str, device: str) -> RunConfig:
    kind = load(example, discover()).data.type
    root = {"mnist": mnist, "iclevr": iclevr}.get(kind, "")
    overrides = [f"train.device={device}", *([f"data.root={root}"] if root else [])]
    return load(example, discover(), overrides)


@click.command()
@click.option("--mnist", default="", help="Folder of MNIST; absent = as the examples have it.")
@click.option("--iclevr", default="", help="Folder of i-CLEVR; absent = as the examples have it.")
@click.option("--device", default="cpu")
@click.option("--seconds", default=2.0, help="Of a turn of a run.")
@click.option("--rounds", default=3)
@click.option(
    "--only", type=click.Path(path_type=Path, exists=True), multiple=True, help="Some of the examples."
)
@click.option("--out", type=click.Path(path_type=Path), default=Path("."), help="Folder for the tables.")
@click.option("--side", default="", hidden=True)
def main(
    mnist: str,
    iclevr: str,
    device: str,
    seconds: float,
    rounds: int,
    only: tuple[Path, ...],
    out: Path,
    side: str,
) -> None:
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))
    if side:
        serve(side, _load(only[0], mnist, iclevr, device), seconds)
        return
    out.mkdir(parents=True, exist_ok=True)
    options = ["--mnist", mnist, "--iclevr", iclevr, "--device", device]
    found = []
    for example in only or sorted(path for path in EXAMPLES.rglob("*.toml") if "sweeps" not in path.parts):
        found.append(compare(example.resolve(), options, seconds, rounds))
        click.echo(table(found[-1:]).splitlines()[-1])
        about = {**machine(torch.device(device)), "command": sys.argv, "seconds": seconds, "rounds": rounds}
        write_json(out / "check_against_runs.json", {"machine": about, "examples": found})
        (out / "check_against_runs.md").write_text(table(found) + "\n")


if __name__ == "__main__":
    main()
