"""Two real processes over gloo: the same weights everywhere, and disjoint data."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from conftest import ROOT


def torchrun(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT / "tests"),
        "CUDA_VISIBLE_DEVICES": "",
    }
    return subprocess.run(
        [*command, *map(str, arguments)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_two_processes_keep_equal_weights_and_see_different_samples(tmp_path: Path) -> None:
    done = torchrun(ROOT / "tests" / "support" / "two_processes.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines() == [
        "d: updates 6, ranks equal: True",
        "g: updates 3, ranks equal: True",
        "shared samples: 0",
    ]
