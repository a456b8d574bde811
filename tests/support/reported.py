"""A run folder to report on, and the page read back."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch

from ganforge.outputs.metrics_log import MetricsLog
from ganforge.outputs.run_folder import RunFolder
from support.html_page import Page

CONFIG = {
    "train": {"images": 12800},
    "data": {"type": "toy", "note": "</script><script>alert(1)</script> & 'more'"},
    "nets": {"type": "tiny"},
    "loss": {"type": "hinge"},
}
LABELS = {"kind": "many_of_k", "names": ["red <cube>", "cup", "sphere"]}
INFO: dict[str, Any] = {
    "ganforge": "0.1.0",
    "python": "3.11.7",
    "device": "cpu",
    "started": "2026-11-27T15:10:57+00:00",
    "packages": {"torch": "9.9"},
    "git": {"commit": "0123456789abcdef", "dirty": True},
    "warnings": ["<b>slow</b> disk"],
    "seed": 4,
    "data_spec": {"shape": [3, 8, 8], "labels": LABELS},
    "run_command": "ganforge run toy.toml --out '<x>'",
}


def make(folder: Path, **info: Any) -> RunFolder:
    run = RunFolder.create(folder, CONFIG, INFO | info)
    log = MetricsLog(run.metrics)
    for i in range(1, 21):
        log.append(
            {
                "iteration": i,
                "images_seen": 64 * i,
                "images_per_second": 40.0 + i,
                "seconds": 60.0 * i,
                "loss/d": 1 / i,
                "loss/g": math.nan if i == 5 else 2.0,
                "score/real": 0.5,
            }
        )
    for seen, fid in ((640, 31.5), (1280, 40.0)):
        log.append({"images_seen": seen, "metric/fid": fid, "metric/fid_std": 1.5})
    return run


def read(path: Path) -> tuple[str, Page]:
    content = path.read_text(encoding="utf-8")
    return content, Page(content)


def noise(count: int, side: int = 8) -> torch.Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1
