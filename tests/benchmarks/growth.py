"""How the cost of ganforge grows: with the batch, the resolution, the processes and the data.

cd tests && python -m benchmarks.growth --json growth.json
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click
import torch

from benchmarks import streaming
from benchmarks.bound import cost, matrix_rate, precision
from benchmarks.loops import EngineLoop, ExpertLoop
from benchmarks.measure import alternate, timed
from benchmarks.settings import Settings, machine, write_json
from support.paths import EXAMPLES

WORK = "cgan_iclevr64"
"""The convolutional baseline, at other sides than its own, too."""
WIDTH = 16
"""Of its networks, a quarter of its own, so that 128x128 fits into minutes on a CPU."""
IMAGES = 6_000
"""In the smallest data set, of 70 MiB; 16 times as many are more than 1 GiB."""
WAYS = ("streamed", "resident")
ROWS = 4
"""Rows of the log of a run in several processes, of which the first is not counted."""


@click.command(context_settings={"show_default": True})
@click.option("--batch", multiple=True, type=click.IntRange(min=2), default=(16, 64, 256), help="Repeatable.")
@click.option(
    "--side",
    multiple=True,
    type=click.Choice(["32", "64", "128"]),
    default=("32", "64", "128"),
    help="Repeatable.",
)
@click.option("--processes", multiple=True, type=click.IntRange(min=1), default=(1, 2), help="Repeatable.")
@click.option(
    "--times",
    multiple=True,
    type=click.IntRange(min=1),
    default=(1, 4, 16),
    help=f"Data set sizes, in {IMAGES:,} images of 64x64; repeatable.",
)
@click.option(
    "--seconds", type=click.FloatRange(min=0), default=3.0, help="For each cell of the first table."
)
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto")
@click.option("--full", is_flag=True, help="Networks of their own width; wants a GPU.")
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="A key of the run file; repeatable."
)
@click.option("--json", "out", type=click.Path(path_type=Path), help="Write all figures into this file.")
def main(
    batch: tuple[int, ...],
    side: tuple[str, ...],
    processes: tuple[int, ...],
    times: tuple[int, ...],
    seconds: float,
    device: str,
    full: bool,
    overrides: tuple[str, ...],
    out: Path | None,
) -> None:
    """Tables of what an image costs, and of memory, as things grow."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    found: dict[str, Any] = {
        "machine": machine(torch.device(device)),
        "cells": [],
        "processes": [],
        "data": [],
    }
    click.echo("side  batch  ms/image  bound ms/image  share  MFLOP/image  MB/image")
    for pixels in map(int, side):
        for size in batch:
            settings = Settings(size, device, full=full, overrides=overrides)
            cell = _cell(settings, pixels, seconds)
            found["cells"].append(cell)
            click.echo(
                f"{pixels:4}  {size:5}  {cell['ms_per_image']:8.3f}  {cell['bound_ms_per_image']:14.3f}  "
                f"{cell['share_of_bound']:5.2f}  {cell['flops_per_image'] / 1e6:11.1f}  {cell['bytes_per_image'] / 1e6:8.2f}"
            )
    click.echo("processes  images/s of all, batch 64, 64x64")
    for count in processes:
        speed = _in_processes(count, device, full, overrides)
        found["processes"].append({"processes": count, "images_per_second": speed})
        click.echo(f"{count:9}  {speed:.1f}")
    click.echo("MiB of images  data      peak MiB that cannot be dropped  with pages of files and imports")
    for images in (factor * IMAGES for factor in times):
        for data in WAYS:
            peak = streaming.measure(data, images, Settings(64, device))
            found["data"].append({"images": images, "data": data, **peak})
            held = images * 3 * streaming.SIDE**2 / 2**20
            click.echo(
                f"{held:13,.0f}  {data}  {peak['anonymous_mib']:31,.0f}  {peak['resident_mib']:31,.0f}"
            )
    if out is not None:
        write_json(out, found)


def _width(full: bool) -> dict[str, int]:
    return {} if full else {"width": WIDTH}


def _cell(settings: Settings, side: int, seconds: float) -> dict[str, float]:
    changes = {"data": {"image_size": side}, "nets": _width(settings.full)}
    with tempfile.TemporaryDirectory() as folder:
        job = settings.open(WORK, Path(folder), "ganforge", changes)
        bare = settings.open(WORK, Path(folder), "expert", changes)
        loop = EngineLoop(job)
        rate = matrix_rate(job.device, precision(job.device, bf16=False))
        took = statistics.median(alternate({"ganforge": timed(loop, job.device)}, seconds, 3)["ganforge"])
        counted = cost(ExpertLoop(bare).iterate)
    images = job.per_iteration
    bound = counted.flops / rate
    return {
        "side": side,
        "batch": settings.batch,
        "ms_per_image": 1000 * took / images,
        "bound_ms_per_image": 1000 * bound / images,
        "share_of_bound": bound / took,
        "flops_per_image": counted.flops / images,
        "bytes_per_image": counted.bytes / images,
        "flops_per_second": rate,
    }


def _in_processes(count: int, device: str, full: bool, overrides: tuple[str, ...]) -> float:
    """The median of what a run's own log says, without its first row."""
    rows, batch = ROWS, 64
    keys = {
        "data.scenes": 86,
        "train.device": device,
        "train.images": rows * 2 * batch,
        "logging.every": 2 * batch,
        "logging.grid_every": 0,
        "wandb.mode": "disabled",
        **{f"nets.{key}": value for key, value in _width(full).items()},
    }
    words = [f"{key}={value}" for key, value in keys.items()]
    words = [word for setting in (*words, *overrides) for word in ("--set", setting)]
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        example = EXAMPLES / "baselines" / "cgan_iclevr_dcgan.toml"
        command = [sys.executable, "-m", "ganforge", "run", str(example), "--out", str(run), *words]
        threads = max(1, torch.get_num_threads() // count)
        subprocess.run(
            [*command, "--processes", str(count)],
            env={**os.environ, "OMP_NUM_THREADS": str(threads)},
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        lines = (run / "metrics.jsonl").read_text().splitlines()
    speeds = [row["images_per_second"] for row in map(json.loads, lines) if "images_per_second" in row]
    # The very first iteration has a row of its own, and the next row the rest of what warms up.
    return statistics.median(speeds[2:])


if __name__ == "__main__":
    main()
