"""The memory that training takes in addition to its data, in a process of its own.

python -m benchmarks.streaming streamed --images 96000

Of the memory that a process holds, pages of a file are the system's, which drops them when others want
memory, and takes them from as many processes as map the file; what cannot be dropped is anonymous.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from benchmarks.memory import MIB
from benchmarks.settings import Settings
from support.paths import TESTS

SIDE = 64
PIECE = 64
"""Images made at a time."""
ITERATIONS = 4
"""Of training. The rest of an epoch is read, and not trained on."""


def measure(data: str, images: int, settings: Settings) -> dict[str, float]:
    """Peak MiB of a new process that trains on that many images of 64x64, noise, and reads each of them:
    `anonymous_mib` above what its imports took, as measured after every batch, and `resident_mib` in total,
    pages of files included; the same while the data set was built, `build_anonymous_mib`; on a GPU,
    `gpu_mib` of its tensors."""
    command = [sys.executable, "-m", "benchmarks.streaming", data, "--images", str(images)]
    command += ["--batch", str(settings.batch), "--device", settings.device]
    done = subprocess.run(
        command, cwd=TESTS, env=dict(os.environ), check=True, stdout=subprocess.PIPE, text=True
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


@click.command()
@click.argument("data", type=click.Choice(["streamed", "resident"]))
@click.option("--images", type=click.IntRange(min=PIECE), required=True)
@click.option("--batch", default=64)
@click.option("--device", default="cpu")
def main(data: str, images: int, batch: int, device: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        click.echo(json.dumps(_measured(data, images, batch, device, Path(folder))))


def _measured(data: str, images: int, batch: int, device: str, folder: Path) -> dict[str, float]:
    import numpy as np
    import torch

    from ganforge.api import Samples
    from ganforge.components.registry import discover
    from ganforge.config import validate
    from ganforge.engine.distributed.runtime import Runtime
    from ganforge.engine.loop import Loop
    from ganforge.training.build import build_loop, plan
    from ganforge_datasets.uint8_cache import cached
    from support.toys import Recorder

    tables: dict[str, Any] = {
        "data": {"type": "image_folder", "root": str(folder), "image_size": SIDE},
        "nets": {"type": "dcgan", "width": 8},
        "train": {"images": 10**9, "batch_size": batch, "device": device, "data": data},
    }
    config = validate(tables, discover(), file="streaming")

    def loop_over(pixels: torch.Tensor) -> Loop:
        return build_loop(plan(config), Samples(pixels), Runtime(config.train), Recorder(), folder)

    # Imports what is imported late.
    loop_over(torch.zeros(batch, 3, SIDE, SIDE, dtype=torch.uint8))
    before = _status("RssAnon")
    peak = [before]

    def pieces() -> Iterator[Any]:
        rng = np.random.default_rng(0)
        for start in range(0, images, PIECE):
            yield rng.integers(0, 256, (min(PIECE, images - start), 3, SIDE, SIDE), dtype=np.uint8)
            peak.append(_status("RssAnon"))

    shape = (images, 3, SIDE, SIDE)
    pixels = torch.from_numpy(cached(folder, "noise", shape, "noise", pieces, click.echo))
    built = max(peak)
    if data == "resident":
        # As data sets hold them that are read as a whole; a map would be the system's memory again.
        pixels = pixels.clone()
    loop = loop_over(pixels)
    for _ in range(ITERATIONS):
        loop._iterate(False)
        peak.append(_status("RssAnon"))
    for index in range(ITERATIONS, -(-images // batch)):
        loop.batches.at(index)
        peak.append(_status("RssAnon"))
    found = {
        "build_anonymous_mib": built - before,
        "anonymous_mib": max(peak) - before,
        "resident_mib": _status("VmHWM"),
    }
    if device == "cuda":
        found["gpu_mib"] = torch.cuda.max_memory_allocated() / MIB
    return found


def _status(field: str) -> float:
    """MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (held,) = (int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))
    return held / 1024


if __name__ == "__main__":
    main()
