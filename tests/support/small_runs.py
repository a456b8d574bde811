"""The example run files in small."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from ganforge.api import Context
from ganforge.components.registry import Registry
from ganforge.config import RunConfig, validate
from ganforge.engine.distributed.runtime import Runtime
from ganforge.engine.loop import Loop
from ganforge.training.build import build_loop, load_samples, plan
from support.digit_files import files as digit_files
from support.toys import Recorder

NARROW = {
    "width": 8,
    "g_width": 8,
    "d_width": 8,
    "channels": 4,
    "fc_width": 8,
    "head_width": 8,
    "group_width": 4,
}
SIDES = {"dcgan": 16}
BATCH = 8


def small(example: Path, digits: Path, registry: Registry, iterations: int) -> RunConfig:
    """An example as it is, but narrow, short, and on a few samples; `digits` is a folder for small
    files in the form of MNIST. A row is logged every second iteration, metrics every third."""
    document: dict[str, Any] = tomllib.loads(example.read_text())
    train = document["train"]
    train |= {"batch_size": BATCH, "device": "cpu"}
    step = BATCH * train.get("d_updates", 1)
    train["images"] = step * iterations
    for key, value in document["nets"].items():
        document["nets"][key] = NARROW.get(key, [8] if key.endswith("_hidden") else value)
    data = document["data"]
    match data["type"]:
        case "mnist":
            data |= {"root": str(digit_files(digits))}
            data.pop("download", None)
        case "iclevr":
            data |= {"scenes": 8, "image_size": SIDES.get(document["nets"]["type"], 32)}
        case "toy2d":
            data |= {"count": 200}
    if document["nets"]["type"] == "dcgan":
        document["nets"] |= {"width": 4}
    for metric in document.get("metrics", []):
        metric |= {"every": 3 * step, "samples": 50}
    document["logging"] = {"every": 2 * step, "grid_every": 0, "checkpoint_every": 10**9}
    return validate(document, registry, file=str(example))


def open_loop(config: RunConfig, folder: Path) -> tuple[Loop, Recorder]:
    """A loop over the data of `config` that checkpoints into `folder`."""
    agreed = plan(config)
    context = Context(folder / "cache", lambda line: None, lambda items, total, what: iter(items))
    samples = load_samples(config, agreed.spec, context)
    recorder = Recorder()
    return build_loop(agreed, samples, Runtime(config.train), recorder, folder / "checkpoints"), recorder
