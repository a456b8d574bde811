"""Starts real runs in several processes, finds the processes, and waits for what they write."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from support.paths import python_path

RUN_FILE = """
[data]
type = "toy2d"
count = 1000
[prior]
type = "normal"
dim = 2
[nets]
type = "mlp"
g_hidden = [8]
d_hidden = [8]
[generator.optimizer]
type = "adam"
[discriminator.optimizer]
type = "adam"
[train]
images = 1000000000
batch_size = 8
device = "cpu"
timeout_s = 60.0
[logging]
every = 800
grid_every = 0
checkpoint_every = 800
[wandb]
mode = "disabled"
"""
GANFORGE = ("-m", "ganforge")
STARTED: list[subprocess.Popen[str]] = []
PATIENCE_S = 120.0
"""For what must come, on however slow a machine."""


def torchrun(*options: str, processes: int = 2) -> tuple[str, ...]:
    return (
        *("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)),
        *(*options, "-m", "ganforge"),
    )


def environment(**changes: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RANK", "WORLD_SIZE"))}
    fixed = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": python_path()}
    return {**kept, **fixed, **changes}


def write_run_file(folder: Path) -> Path:
    file = folder / "two.toml"
    file.write_text(RUN_FILE)
    return file


def start(*arguments: object, cwd: Path, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """`python <arguments>`, with stdout and stderr in `out.txt` and `err.txt` of `cwd`."""
    with (cwd / "out.txt").open("w") as out, (cwd / "err.txt").open("w") as err:
        command = [sys.executable, *map(str, arguments)]
        process = subprocess.Popen(
            command, cwd=cwd, env=env or environment(), stdout=out, stderr=err, text=True
        )
    STARTED.append(process)
    return process


def workers(launcher: int) -> dict[int, int]:
    """Rank -> pid of the processes below the launcher."""
    found: dict[int, int] = {}
    for pid in Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split():
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        ranks = [int(line[5:]) for line in variables if line.startswith(b"RANK=")]
        found.update({rank: int(pid) for rank in ranks})
    return found


def wait_for(what: Path, process: subprocess.Popen[str], cwd: Path) -> None:
    """Until a file or folder matching the pattern is there."""
    deadline = time.monotonic() + PATIENCE_S
    while not list(what.parent.glob(what.name)):
        assert process.poll() is None, (cwd / "err.txt").read_text()[-3000:]
        assert time.monotonic() < deadline, (cwd / "err.txt").read_text()[-3000:]
        time.sleep(0.1)


def checkpoints(run: Path) -> list[str]:
    return sorted(path.parent.name for path in run.glob("checkpoints/0*/manifest.json"))
