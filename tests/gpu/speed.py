"""How fast the works of the benchmarks are on a GPU, by every way that there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch

from benchmarks.bound import cost, matrix_rate, precision
from benchmarks.elsewhere import Elsewhere
from benchmarks.job import Job
from benchmarks.loops import ExpertLoop
from benchmarks.measure import Spread, alternate
from benchmarks.settings import Settings

ROUNDS = 3
WARM_UP = 12
"""Iterations of each way before any is timed: recordings are made and compared within them."""

OFF = 'train.cuda_graphs="off"'
WAYS: dict[str, tuple[str, tuple[str, ...]]] = {
    "tutorial": ("tutorial", ()),
    "expert": ("expert", ()),
    "eager": ("ganforge", (OFF,)),
    "graphs": ("ganforge", ()),
    "compiled": ("ganforge", ('train.compile="on"',)),
    "deterministic": ("ganforge", ("train.deterministic=true",)),
}
"""Name in the table -> a loop of the benchmarks, and what its run file says."""


class Case(NamedTuple):
    work: str
    batch: int
    precision: str
    ways: tuple[str, ...]


USUAL = ("expert", "eager", "graphs", "deterministic")
CASES = (
    Case("cgan_iclevr64", 64, "bf16", (*USUAL, "compiled")),
    Case("cgan_iclevr64", 512, "bf16", (*USUAL, "compiled")),
    Case("cgan_iclevr64", 64, "no", ("tutorial", *USUAL)),
    Case("mlp_gan_mnist28", 64, "no", ("tutorial", *USUAL)),
    Case("wgan_gp_resnet32", 64, "no", USUAL),
    Case("dcgan_mnist28", 64, "no", USUAL),
    Case("infogan_mnist28", 64, "no", USUAL),
    *(
        Case(f"stylegan2_iclevr{side}", batch, "bf16", ("expert", "eager", "graphs", "compiled"))
        for side, batch in ((64, 64), (128, 32), (256, 32))
    ),
)


class Started(NamedTuple):
    case: Case
    job: Job
    loops: dict[str, Elsewhere]


def measure(
    cases: Sequence[Case], device: str, seconds: float, full: bool = True
) -> Iterator[dict[str, Any]]:
    """For each case, images per second of each way, in turns. Every way has a process of its own; all of
    them start, compile and record at once, and then wait for their turn."""
    with TemporaryDirectory() as place, ExitStack() as processes:
        # The data are written down once, before the processes open them.
        settings = [Settings(case.batch, device, case.precision, full) for case in cases]
        folders = [Path(place, case.work) for case in cases]
        jobs = [
            each.open(case.work, folder, "expert")
            for each, case, folder in zip(settings, cases, folders, strict=True)
        ]
        orders = [
            (case, folder, way) for case, folder in zip(cases, folders, strict=True) for way in case.ways
        ]
        with ThreadPoolExecutor(len(orders)) as pool:
            begun = list(pool.map(lambda order: _started(*order, device, full), orders))
        for loop in begun:
            processes.enter_context(loop)
        found = dict(zip(((case, way) for case, _, way in orders), begun, strict=True))
        for case, job in zip(cases, jobs, strict=True):
            loops = {way: found[case, way] for way in case.ways}
            yield _measured(Started(case, job, loops), seconds)


def _started(case: Case, folder: Path, way: str, device: str, full: bool) -> Elsewhere:
    loop, overrides = WAYS[way]
    settings = Settings(case.batch, device, case.precision, full, overrides=overrides)
    started = Elsewhere(case.work, loop, settings, folder)
    started(WARM_UP)
    return started


def _measured(started: Started, seconds: float) -> dict[str, Any]:
    case, job, loops = started
    times = alternate(loops, seconds, ROUNDS)
    counted = cost(ExpertLoop(job).iterate)
    numbers = precision(job.device, case.precision == "bf16")
    return {
        **case._asdict(),
        "numbers": numbers,
        "flops_per_image": counted.flops / job.per_iteration,
        "bytes_per_image": counted.bytes / job.per_iteration,
        "matrix_flops_per_second": matrix_rate(job.device, numbers),
        "bytes_per_second": copy_rate(job.device),
        "found": {
            way: {
                "images_per_second": Spread.of([job.per_iteration / each for each in took])._asdict(),
                **loops[way].facts(),
            }
            for way, took in times.items()
        },
    }


def copy_rate(device: torch.device) -> float:
    """Bytes per second that a copy within the device's memory reads and writes."""
    size = 2**30 if device.type == "cuda" else 2**26
    source = torch.randint(256, (size,), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    seconds = _best(lambda: target.copy_(source), device)
    return 2 * size / seconds


def _best(work: Callable[[], object], device: torch.device) -> float:
    from benchmarks.measure import timed

    class Way:
        def iterate(self) -> None:
            work()

        def synchronize(self) -> None: ...

    stretch = timed(Way(), device)  # type: ignore[arg-type]
    return min(stretch(5) for _ in range(4))


def table(results: list[dict[str, Any]]) -> str:
    """Markdown: a row for each case, images per second, and the shares of the two bounds."""
    names = [way for way in WAYS if any(way in each["found"] for each in results)]
    lines = [
        f"| work, batch, precision | {' | '.join(names)} | graphs / expert | share of matrix rate | of memory rate |",
        "|---" * (len(names) + 4) + "|",
    ]
    for each in results:
        speeds = {way: found["images_per_second"]["median"] for way, found in each["found"].items()}
        best = max(speeds.get("graphs", 0.0), speeds.get("compiled", 0.0))
        cells = [f"{speeds[way]:,.0f}" if way in speeds else "" for way in names]
        ratio = f"{speeds['graphs'] / speeds['expert']:.2f}" if {"graphs", "expert"} <= speeds.keys() else ""
        shares = [
            f"{best * each['flops_per_image'] / each['matrix_flops_per_second']:.2f}",
            f"{best * each['bytes_per_image'] / each['bytes_per_second']:.2f}",
        ]
        head = (
            f"{each['work']}, {each['batch']}, {'TF32' if each['precision'] == 'no' else each['precision']}"
        )
        lines.append("| " + " | ".join([head, *cells, ratio, *shares]) + " |")
    return "\n".join(lines)
