"""Where the time of an iteration goes.

The figures are taken without torch's profiler, which slows down what it measures; the trace covers some
additional iterations.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch.profiler import ProfilerActivity, profile

from ganforge.api import Context, UserError
from ganforge.config import RunConfig
from ganforge.engine.distributed.runtime import Runtime
from ganforge.engine.loop import Loop
from ganforge.profiling.clock import OTHER, Watch, attach, synchronize
from ganforge.profiling.silent import Silent
from ganforge.training.build import build_loop, load_samples, plan

WARM_UP = 3
"""Warm-up: the first iterations allocate, and choose kernels. With train.compile = "auto" those in which the
mode is chosen are added."""
TRACED = 3
"""Iterations in the trace; each has thousands of events."""
SLOWEST = 8
"""Operations that are listed."""

LOGGING = "logging"


@dataclass(frozen=True)
class Part:
    name: str
    ms: float
    """Milliseconds per iteration."""


@dataclass(frozen=True)
class Profile:
    parts: tuple[Part, ...]
    """In the order of an iteration; they add up to all of it."""
    images_per_second: float
    iterations: int
    busy: str
    """Utilization of the machine."""
    slowest: tuple[Part, ...]
    """Operations, by their own time per iteration."""
    log_every: int
    """Images between two rows of the log, over which the cost of one is spread."""

    @property
    def ms(self) -> float:
        """Milliseconds per iteration, with its share of the log."""
        return sum(part.ms for part in self.parts)

    def lines(self) -> list[str]:
        """A table for the terminal."""
        width = max(len(part.name) for part in (*self.parts, *self.slowest))
        rows = [f"{'part':{width}}  ms/iteration  share"]
        rows += [f"{p.name:{width}}  {p.ms:12.3f}  {100 * p.ms / self.ms:4.1f}%" for p in self.parts]
        rows.append(f"{'total':{width}}  {self.ms:12.3f}  {self.images_per_second:.1f} images/s")
        rows.append(
            f"means of {self.iterations} iterations; logging: one row every {self.log_every:,} images, "
            "spread over the iterations"
        )
        rows += [self.busy, "", f"{'slowest operations in the trace':{width}}  ms/iteration"]
        return rows + [f"{part.name:{width}}  {part.ms:12.3f}" for part in self.slowest]


def refuse_out(out: Path) -> None:
    """Raises `UserError` if the trace could not be written, before anything is measured."""
    if out.suffix != ".json":
        raise UserError(f"--out {out}: expected a name that ends in .json")
    if not out.absolute().parent.is_dir():
        raise UserError(
            f"--out {out}: there is no folder {out.absolute().parent}; create it, or choose another"
        )


def profile_run(config: RunConfig, iterations: int, context: Context, out: Path | None = None) -> Profile:
    """Trains `iterations` iterations of `config`, in one process, and measures where their time goes; with
    `out`, writes a Chrome trace there. Nothing else is written. Raises `UserError` as a run would."""
    if out is not None:
        refuse_out(out)
    agreed = plan(config)
    runtime = Runtime(config.train)
    samples = load_samples(config, agreed.spec, context)
    with TemporaryDirectory() as folder:
        loop = build_loop(agreed, samples, runtime, Silent(context.say), Path(folder))
        # Eager: a graph replay cannot be split into parts.
        loop.replays = None
        watch = Watch(runtime.device)
        attach(loop, watch)
        for _ in range(WARM_UP):
            loop._iterate(True)
        while loop.trial.choice is None:
            loop._iterate(False)
        began, worked = time.perf_counter(), time.process_time()
        watch.begin()
        for _ in range(iterations):
            loop._iterate(False)
        spent = watch.end()
        worked, passed = time.process_time() - worked, time.perf_counter() - began
        logging = _logging_seconds(loop, watch, sum(spent.values()) / iterations)
        rows_per_iteration = min(1.0, loop.per_iteration / config.logging.every)
        traced, device_ms = _trace(loop, watch, out)
    parts = [Part(name, 1000 * seconds / iterations) for name, seconds in spent.items()]
    parts.append(Part(LOGGING, 1000 * logging * rows_per_iteration))
    ms = sum(part.ms for part in parts)
    if runtime.device.type == "cuda":
        share = min(1.0, device_ms / (1000 * passed / iterations))
        busy = f"the GPU computes {100 * share:.0f} % of the time, and is idle {100 * (1 - share):.0f} %"
    else:
        busy = f"{worked / passed:.2f} of {torch.get_num_threads()} threads at work on average"
    return Profile(
        tuple(sorted(parts, key=_place)),
        1000 * loop.per_iteration / ms,
        iterations,
        busy,
        traced,
        config.logging.every,
    )


ORDER = ("data", "D's update", "G's update", "moving average", LOGGING, OTHER)
STEPS = ("generator forward", "discriminator forward", "term", "backward", "optimizer")


def _place(part: Part) -> tuple[int, int, str]:
    """Position of a part within an iteration."""
    group, _, step = part.name.partition(": ")
    within = next((i for i, known in enumerate(STEPS) if step.startswith(known)), 0)
    return ORDER.index(group), within, part.name


def _logging_seconds(loop: Loop, watch: Watch, plain: float) -> float:
    """Additional milliseconds of an iteration that logs a row."""
    watch.begin()
    loop._iterate(True)
    loop._log(0.0)
    return max(0.0, sum(watch.end().values()) - plain)


def _trace(loop: Loop, watch: Watch, out: Path | None) -> tuple[tuple[Part, ...], float]:
    """The slowest operations, and the device's milliseconds per iteration."""
    on_gpu = watch.device.type == "cuda"
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * on_gpu
    with profile(activities=activities) as profiler:
        watch.open_range()
        for _ in range(TRACED):
            loop._iterate(False)
        synchronize(watch.device)
        watch.close_range()
    if out is not None:
        profiler.export_chrome_trace(str(out))
    operations = []
    for event in profiler.key_averages():
        own = event.self_device_time_total if on_gpu else event.self_cpu_time_total
        if event.key.startswith("aten::") or (on_gpu and own):
            operations.append(Part(event.key, own / 1000 / TRACED))
    operations.sort(key=lambda part: part.ms, reverse=True)
    device_ms = sum(part.ms for part in operations if part.name.startswith("aten::"))
    return tuple(operations[:SLOWEST]), device_ms
