"""Run folders made by hand, and their comparison."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import tomli_w

from support.command_line import Done, call

INFO = {
    "ganforge": "0.1.0",
    "device": "cpu",
    "gpu": None,
    "processes": 1,
    "parameters": {"generator": 1200, "discriminator": 3400},
    "packages": {"torch": "2.15.0"},
}


def config(**sections: Any) -> dict[str, Any]:
    return {
        "data": {"type": "toy"},
        "train": {"images": 4000, "batch_size": 32},
        "ema": {"halflife": 100.0},
    } | sections


def metric(fid: float | None = 12.5, samples: int = 5000, **more: Any) -> dict[str, Any]:
    depends_on = {"metric": "fid", "generated": samples, "uses": {"weights_sha256": "a" * 64}}
    return {
        "type": "fid",
        "seeds": [0, 1, 2],
        "values": {"fid": fid, "fid_std": 0.25, "fid/red cube": 1.0},
        "plugin": {"distribution": "acme", "version": "1"},
        "depends_on": depends_on,
        "fingerprint": f"{samples:016x}",
    } | more


def record(*metrics: dict[str, Any], images: int = 4000, network: str = "ema") -> dict[str, Any]:
    return {"images_seen": images, "network": network, "metrics": list(metrics)}


def rows(*more: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "images_seen": 2000,
            "seconds": 10.0,
            "peak_memory_mib": 700.4,
            "metric/mmd": 0.5,
            "metric/mmd_std": 0.1,
        },
        {"images_seen": 4000, "seconds": 25.0, "peak_memory_mib": 650.0, "loss/d": 1.0},
        *more,
    ]


def make(folder: Path, settings: Any = None, log: Any = None, records: Any = (), **info: Any) -> Path:
    """A run folder by hand."""
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(tomli_w.dumps(settings or config()))
    (folder / "run.json").write_text(json.dumps(INFO | info))
    for name, lines in (("metrics", rows() if log is None else log), ("evaluations", records)):
        if lines:
            (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def compare(folder: Path, *arguments: str) -> Done:
    return call(folder, "compare", *arguments)


def lines_of(done: Done, start: str) -> list[str]:
    assert (done.code, done.err) == (0, "")
    return [" ".join(line.split()) for line in done.out.splitlines() if line.startswith(start)]
