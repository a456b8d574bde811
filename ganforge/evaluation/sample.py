"""Sampling from a finished or stopped run: needs its folder, and neither W&B nor the data set."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ganforge.api import Dataset, DataSpec, LabelSpec, UserError
from ganforge.api.conditions import read_conditions
from ganforge.components.calls import pictures_of
from ganforge.components.faults import one_line
from ganforge.components.registry import Registry
from ganforge.config import load
from ganforge.engine.checkpoint import checkpoint
from ganforge.engine.random import generator_for
from ganforge.engine.sampling.sampler import GeneratorSampler
from ganforge.evaluation.conditions import rows
from ganforge.outputs.grid import PICTURES, save_grid, save_sample
from ganforge.outputs.run_folder import RunFolder
from ganforge.training.build import plan

OTHER_FILES = (".gif", ".bmp", ".tif", ".tiff", ".svg", ".pdf", ".avif", ".npy", ".npz", ".zip", ".json")
"""Suffixes that no folder is meant to have."""
MAX_SAMPLES = 100_000


@dataclass(frozen=True)
class TrainedGenerator:
    """A run's generator and what it was trained on."""

    sampler: GeneratorSampler
    spec: DataSpec
    images_seen: int
    data: Dataset
    """Of the run file; it is not opened."""


def open_generator(
    folder: Path,
    registry: Registry,
    say: Callable[[str], None],
    truncation: float | None = None,
    choice: str = "newest",
) -> TrainedGenerator:
    """The generator of a run (its moving average if it has one), on the CPU; `choice`: see
    `checkpoint.load_chosen`."""
    run = RunFolder.open(folder)
    config = load(run.config, registry)
    spec = run.read_data_spec()
    group = "generator" if config.ema.halflife else "network_g"
    tensors, state = checkpoint.load_chosen(run.checkpoints, choice, say, groups={group})
    network = plan(config, spec).networks().generator
    try:
        network.load_state_dict(tensors[group])
    except checkpoint.MISFITS as error:
        raise run.misfit(one_line(error)) from error
    sampler = GeneratorSampler(network, config.task, config.prior, config.nets, spec, truncation=truncation)
    return TrainedGenerator(sampler, spec, state["images_seen"], config.data)


def wanted(labels: LabelSpec, text: str | None, file: Path | None, n: int, seed: int) -> Tensor | None:
    """The condition of each sample, by what `--condition` (`text`) or `--conditions` (`file`) say: `n` in a
    row for each, [n * conditions, ...]; see `condition_rows`."""
    if labels.kind in ("vector", "image"):
        found = rows(labels, text, file)
        _refuse_too_many(n * len(found))
        return found.repeat_interleave(n, dim=0)
    conditions = [labels.parse(text)] if text is not None else read_conditions(file, labels) if file else []
    return condition_rows(labels, conditions, n, seed)


def condition_rows(
    labels: LabelSpec, conditions: Sequence[Sequence[str]], n: int, seed: int
) -> Tensor | None:
    """The condition of each sample [n * conditions, K], `n` consecutive rows per condition; without
    conditions, a variety of those the data can have; None for unlabelled data.

    Raises `UserError` for a condition that the data cannot have, and for too many samples.
    """
    _refuse_too_many(n * max(1, len(conditions)))
    if conditions:
        wanted = torch.stack([_encoded(labels, conditions, i) for i in range(len(conditions))])
        return wanted.repeat_interleave(n, dim=0)
    if labels.kind == "none":
        return None
    variety = torch.zeros(n, labels.width)
    rng = generator_for(seed, "conditions")
    for position, row in enumerate(variety):
        if labels.kind == "one_of_k":
            row[position % labels.width] = 1.0
        else:
            most = labels.most or labels.width
            count = int(torch.randint(1, most + 1, (), generator=rng))
            row[torch.randperm(labels.width, generator=rng)[:count]] = 1.0
    return variety


def _refuse_too_many(total: int) -> None:
    if total > MAX_SAMPLES:
        raise UserError(f"{total:,} samples requested, at most {MAX_SAMPLES:,} per call; lower --n")


def write_samples(generator: TrainedGenerator, cond: Tensor | None, n: int, seed: int, out: Path) -> Path:
    """A grid with 8 per row for `x.png`; otherwise a folder with one PNG per sample and `samples.json`.

    Raises `UserError` if the folder already holds samples, or cannot be written.
    """
    try:
        if (out / "samples.json").exists():
            raise UserError(f"{out} already holds samples; choose another folder with --out")
        if out.suffix.lower() in PICTURES:
            out.parent.mkdir(parents=True, exist_ok=True)
            samples = generator.sampler.sample(n if cond is None else len(cond), seed, cond)
            save_grid(pictures_of(generator.data, samples), out)
        elif out.suffix.lower() in OTHER_FILES:
            raise UserError(
                f"expected --out to be a folder or one of {', '.join(PICTURES)}, got {out}; "
                f"use --out {out.with_suffix('.png')}"
            )
        else:
            out.mkdir(parents=True, exist_ok=True)
            _write_folder(generator, cond, n, seed, out)
    except OSError as error:
        raise UserError(
            f"cannot write samples to {out}: {error.strerror}; choose another path with --out"
        ) from error
    return out


def _write_folder(generator: TrainedGenerator, cond: Tensor | None, n: int, seed: int, out: Path) -> None:
    total = n if cond is None else len(cond)
    listed = []
    for index, image in enumerate(generator.sampler.sample(total, seed, cond)):
        file = generator.data.write(image, out / f"{index:06d}") or save_sample(image, out / f"{index:06d}")
        wish = _in_words(generator.spec.labels, None if cond is None else cond[index])
        listed.append({"file": file.name, "condition": wish, "seed": seed, "index": index})
    (out / "samples.json").write_text(json.dumps(listed, indent=1) + "\n", encoding="utf-8")


def _in_words(labels: LabelSpec, row: Tensor | None) -> list[str] | list[float] | None:
    """A condition as `samples.json` has it: names, or numbers; None for an image."""
    if row is None:
        return []
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
