"""Sampling from a finished or stopped run: needs its folder, and neither W&B nor the data set."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganforge.api import Dataset, DataSpec, LabelSpec, Tree, UserError, taken
from ganforge.api.conditions import read_conditions
from ganforge.components.calls import pictures_of
from ganforge.components.faults import one_line
from ganforge.components.registry import Registry
from ganforge.engine.checkpoint import checkpoint
from ganforge.engine.sampling.sampler import GeneratorSampler
from ganforge.evaluation.conditions import rows
from ganforge.evaluation.named import filled, read_named, variety
from ganforge.evaluation.weights import weights_named
from ganforge.outputs.grid import PICTURES, save_grid, save_sample
from ganforge.outputs.labels import Names
from ganforge.outputs.run_folder import RunFolder
from ganforge.training.build import plan
from ganforge.training.recorded import load_recorded

OTHER_FILES = (".gif", ".bmp", ".tif", ".tiff", ".svg", ".pdf", ".avif", ".npy", ".npz", ".zip", ".json")
"""Suffixes that no folder is meant to have."""
MAX_SAMPLES = 100_000
Words = list[str] | list[float] | dict[str, Any] | None


@dataclass(frozen=True)
class TrainedGenerator:
    """A run's generator and what it was trained on."""

    sampler: GeneratorSampler
    spec: DataSpec
    images_seen: int
    dataset: Dataset
    """Of the run file; it is not opened."""


def open_generator(
    folder: Path,
    registry: Registry,
    say: Callable[[str], None],
    truncation: float | None = None,
    choice: str = "newest",
    device: str = "cpu",
    weights: str | None = None,
) -> TrainedGenerator:
    """The generator of a run (its moving average if it has one), on `device`, for which "auto" is a GPU if
    there is one; `choice`: see `checkpoint.load_chosen`; `weights`: see `weights_named`."""
    run = RunFolder.open(folder)
    on = device_of(device)
    config = load_recorded(run, registry)
    spec = run.read_data_spec()
    _, group = weights_named(weights, config.ema, run.path)
    tensors, state = checkpoint.load_chosen(run.checkpoints, choice, say, groups={group})
    network = plan(config, spec).networks().generator
    try:
        network.load_state_dict(tensors[group])
    except checkpoint.MISFITS as error:
        raise run.misfit(one_line(error)) from error
    sampler = GeneratorSampler(
        network.to(on), config.task, config.prior, config.nets, spec, on, truncation=truncation
    )
    return TrainedGenerator(sampler, spec, state["images_seen"], config.data)


def device_of(name: str) -> torch.device:
    """`cpu`, `cuda`, `cuda:1`, or `auto`. Raises `UserError` for a device that is not here."""
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return torch.device("cuda" if gpus else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UserError(f"device '{name}': expected auto, cpu or cuda") from None
    if device.type == "cuda" and (device.index or 0) >= gpus:
        there = f"{gpus} CUDA devices" if gpus else "no CUDA device"
        raise UserError(f"device '{name}': torch finds {there} here; use auto or cpu")
    return device


def conditions_in(labels: LabelSpec, file: Path) -> Tree:
    """The conditions that a JSON file lists, as rows [m, ...]; several by name as a dict of rows."""
    if labels.parts:
        return read_named(labels, file)
    if labels.kind in ("vector", "image"):
        return rows(labels, None, file)
    return condition_rows(labels, read_conditions(file, labels), 1, 0)


def condition_rows(labels: LabelSpec, conditions: Sequence[Sequence[str]], n: int, seed: int) -> Tree:
    """The condition of each sample [n * conditions, K], `n` consecutive rows per condition; without
    conditions, a variety of those the data can have; None for unlabelled data.

    Raises `UserError` for a condition that the data cannot have, and for too many samples.
    """
    refuse_too_many(n * max(1, len(conditions)))
    if conditions:
        wanted = torch.stack([_encoded(labels, conditions, i) for i in range(len(conditions))])
        return wanted.repeat_interleave(n, dim=0)
    if labels.kind == "none":
        return None
    if labels.parts:
        return filled(labels, None, n, seed)
    return variety(labels, n, seed)


def refuse_too_many(total: int) -> None:
    """Raises `UserError` for more than `MAX_SAMPLES`."""
    if total > MAX_SAMPLES:
        raise UserError(f"{total:,} samples requested, at most {MAX_SAMPLES:,} per call; lower n")


def refuse_out(out: Path) -> None:
    """Raises `UserError` for a place that samples are not written to, before any is drawn."""
    with writing(out):
        taken = (out / "samples.json").exists()
    if taken:
        raise UserError(f"{out} already holds samples; choose another folder with --out")
    if out.suffix.lower() in OTHER_FILES:
        raise UserError(
            f"expected --out to be a folder or one of {', '.join(PICTURES)}, got {out}; "
            f"use --out {out.with_suffix('.png')}"
        )


def write_grid(
    dataset: Dataset, samples: Tensor, out: Path, columns: int = 8, names: Names | None = None
) -> Path:
    """Writes samples [n, *shape] as one image file. Raises `UserError` if it cannot be written."""
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        save_grid(pictures_of(dataset, samples), out, columns, names)
    return out


def write_samples(
    dataset: Dataset, labels: LabelSpec, samples: Tensor, cond: Tree, seed: int | None, out: Path
) -> Path:
    """Writes samples [n, *shape] into a folder: one file each, and `samples.json`.

    Raises `UserError` if the folder already holds samples, or cannot be written.
    """
    refuse_out(out)
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
        listed = []
        for index, image in enumerate(samples):
            file = dataset.write(image, out / f"{index:06d}") or save_sample(image, out / f"{index:06d}")
            wish = in_words(labels, taken(cond, index))
            listed.append({"file": file.name, "condition": wish, "seed": seed, "index": index})
        (out / "samples.json").write_text(json.dumps(listed, indent=1) + "\n", encoding="utf-8")
    return out


@contextlib.contextmanager
def writing(out: Path) -> Iterator[None]:
    """Errors of the file system inside are the user's: another path is needed."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"cannot write samples to {out}: {error.strerror}; choose another path with --out"
        ) from error


def in_words(labels: LabelSpec, row: Tree) -> Words:
    """A condition as `samples.json` has it: names, or numbers; None for an image; a dict of several."""
    if row is None:
        return []
    if labels.parts:
        return {name: in_words(part, row[name]) for name, part in labels.parts.items()}
    if labels.kind == "vector":
        return [float(value) for value in row]
    return None if labels.kind == "image" else labels.decode(row)


def _encoded(labels: LabelSpec, conditions: Sequence[Sequence[str]], position: int) -> Tensor:
    """One condition as a row [K]; an error includes its position if there are several."""
    try:
        return labels.encode(conditions[position])
    except UserError as error:
        where = f"condition {position} (counted from 0): " if len(conditions) > 1 else ""
        raise UserError(f"{where}{error}") from None
