"""One work, three ways: what is measured of it."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks import memory
from benchmarks.bound import cost, matrix_rate, precision
from benchmarks.elsewhere import Elsewhere
from benchmarks.loops import WAYS
from benchmarks.measure import Spread, alternate, ratios
from benchmarks.settings import Settings

PAIRS = (("ganforge", "tutorial"), ("ganforge", "expert"), ("expert", "tutorial"))


def run_work(
    work: str,
    ways: Sequence[str],
    settings: Settings,
    folder: Path,
    seconds: float,
    rounds: int,
    with_memory: bool,
) -> dict[str, Any]:
    """The figures of one work as plain data."""
    # Before the others open them, the data are written down.
    job = settings.open(work, folder, "expert")
    numbers = precision(job.device, settings.precision == "bf16")
    rates = [matrix_rate(job.device, numbers)]
    with contextlib.ExitStack() as processes:
        loops = {way: processes.enter_context(Elsewhere(work, way, settings, folder)) for way in ways}
        times = alternate(loops, seconds, rounds)
    rates.append(matrix_rate(job.device, numbers))
    # Counted in the expert's loop: what the work takes, without what another way does in vain.
    counted = cost(WAYS["expert"](job).iterate)
    _free()
    images, rate = job.per_iteration, max(rates)
    bound = rate * images / counted.flops
    figures = {
        way: {
            "images_per_second": Spread.of([images / each for each in took])._asdict(),
            "iterations_per_second": 1 / Spread.of(took).median,
            "share_of_bound": images / Spread.of(took).median / bound,
            "seconds_per_iteration": took,
        }
        for way, took in times.items()
    }
    if with_memory:
        for way, figure in figures.items():
            figure["memory"] = memory.measure(work, way, settings)
    return {
        "work": work,
        "batch": settings.batch,
        "images_per_iteration": images,
        "flops_per_image": counted.flops / images,
        "bytes_per_image": counted.bytes / images,
        "matrix_rate": {"flops_per_second": rates, "precision": numbers},
        "bound_images_per_second": bound,
        "ways": figures,
        "ratios": {
            f"{a}/{b}": ratios(times[a], times[b])._asdict() for a, b in PAIRS if {a, b} <= times.keys()
        },
    }


def lines(found: dict[str, Any]) -> list[str]:
    """The figures as a reader wants them."""
    head = (
        f"{found['work']}, batch {found['batch']}: {found['flops_per_image'] / 1e9:.3g} GFLOP and "
        f"{found['bytes_per_image'] / 1e6:.3g} MB an image; "
        f"{max(found['matrix_rate']['flops_per_second']) / 1e9:.0f} GFLOP/s ({found['matrix_rate']['precision']}); "
        f"bound {found['bound_images_per_second']:.4g} images/s"
    )
    rows = [head]
    for way, figure in found["ways"].items():
        speed = figure["images_per_second"]
        row = (
            f"  {way:9} {speed['median']:9.4g} images/s ({speed['low']:.4g} to {speed['high']:.4g})  "
            f"{figure['iterations_per_second']:7.4g} it/s  {figure['share_of_bound']:5.2f} of the bound"
        )
        if "memory" in figure:
            row += "".join(f"  {value:.0f} {name}" for name, value in figure["memory"].items())
        rows.append(row)
    for pair, ratio in found["ratios"].items():
        rows.append(f"  {pair:18} {ratio['median']:.3f} ({ratio['low']:.3f} to {ratio['high']:.3f})")
    return rows


def _free() -> None:
    gc.collect()
    with contextlib.suppress(AssertionError, RuntimeError):
        torch.cuda.empty_cache()
