"""The example run files in small."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ganforge.api import Context
from ganforge.components.registry import Registry
from ganforge.config import RunConfig, validate
from ganforge.engine.distributed.runtime import Runtime
from ganforge.engine.loop import Loop
from ganforge.training.build import build_loop, load_samples, plan
from support.digit_files import files as digit_files
from support.judges import blank_judge
from support.toys import Recorder

NARROW = {
    "width": 8,
    "g_width": 8,
    "d_width": 8,
    "channels": 4,
    "fc_width": 8,
    "head_width": 8,
    "group_width": 4,
    "channel_base": 64,
    "channel_max": 8,
    "w_dim": 8,
}
SIDES = {"dcgan": 16, "r3gan": 16}
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
    # A data set that is derived from another one has it within.
    for table in [data, *(inner for inner in data.values() if isinstance(inner, dict))]:
        _few_samples(table, digits, SIDES.get(document["nets"]["type"], 32))
    if document["nets"]["type"] == "dcgan":
        document["nets"] |= {"width": 4}
    judges(document, digits.parent / "judge", registry)
    for metric in document.get("metrics", []):
        # No more than the smallest of these data sets has: 8 scenes in 3 views.
        metric |= {"every": 3 * step, "samples": 24}
    document["logging"] = {"every": 2 * step, "grid_every": 0, "checkpoint_every": 10**9}
    return validate(document, registry, file=str(example))


def _few_samples(data: dict[str, Any], folder: Path, side: int) -> None:
    """Lets a table `[data]` name a few samples that need no download."""
    match data["type"]:
        case "mnist" | "stacked_mnist":
            data |= {"root": str(digit_files(folder))}
            data.pop("download", None)
        case "iclevr":
            data |= {"scenes": 8, "image_size": side}
        case "toy2d":
            data |= {"count": 200}
        case "cifar10":
            # Drawn scenes of its size stand for its files.
            data.clear()
            data |= {"type": "iclevr", "scenes": 8, "image_size": side}
        case "image_folder":
            data |= {"root": str(_pictures(folder / "pictures", side)), "image_size": side}


def judges(document: dict[str, Any], folder: Path, registry: Registry) -> list[str]:
    """Lets each term of a run file that names a judge have one, in `folder`, that has learned nothing; the
    changes as `--set` takes them."""
    changes = []
    for number, term in enumerate(document.get("terms", [])):
        if "judge" in term:
            data = document["data"]
            blank_judge(registry.components["data"][data["type"]].model_validate(data).spec()).save(folder)
            term["judge"] = str(folder)
            changes.append(f"terms.{number}.judge={folder}")
    return changes


def _pictures(folder: Path, side: int) -> Path:
    """A folder of a dozen images of noise."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for number in range(12):
        pixels = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def open_loop(config: RunConfig, folder: Path) -> tuple[Loop, Recorder]:
    """A loop over the data of `config` that checkpoints into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    agreed = plan(config)
    context = Context(folder / "cache", lambda line: None, lambda items, total, what: iter(items))
    samples = load_samples(config, agreed.spec, context)
    recorder = Recorder()
    return build_loop(agreed, samples, Runtime(config.train), recorder, folder / "checkpoints"), recorder
