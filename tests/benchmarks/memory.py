"""The peak memory of one way, in a process of its own.

python -m benchmarks.memory cgan_iclevr64 expert --batch 64
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import click
import torch

from benchmarks.bound import synchronize
from benchmarks.settings import Settings, options
from support.paths import TESTS

ITERATIONS = 6
"""More would take long; the memory of a few is that of many."""
MIB = 2**20


def measure(work: str, way: str, settings: Settings) -> dict[str, float]:
    """Peak MiB of a new process: `resident_mib` in all, `own_mib` above what its imports took, and on
    a GPU `gpu_mib` of its tensors."""
    command = [sys.executable, "-m", "benchmarks.memory", work, way, *settings.options()]
    done = subprocess.run(
        command, cwd=TESTS, env=dict(os.environ), check=True, stdout=subprocess.PIPE, text=True
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


@click.command()
@click.argument("work")
@click.argument("way")
@options
def main(work: str, way: str, settings: Settings) -> None:
    from benchmarks.loops import WAYS

    with tempfile.TemporaryDirectory() as folder:
        before = _resident_peak()
        job = settings.open(work, Path(folder), way)
        loop = WAYS[way](job)
        for _ in range(ITERATIONS):
            loop.iterate()
        loop.synchronize()
        synchronize(job.device)
        peak = _resident_peak()
        found = {"resident_mib": peak, "own_mib": peak - before}
        if settings.device == "cuda":
            found["gpu_mib"] = torch.cuda.max_memory_allocated() / MIB
    click.echo(json.dumps(found))


def _resident_peak() -> float:
    """MiB. Not `getrusage`, which counts what the parent held when it started this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (peak,) = (int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    return peak / 1024


if __name__ == "__main__":
    main()
