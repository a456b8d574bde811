"""A run folder to publish: configuration, the generator's weights, and a card; nothing that training needs.

Everything that reads a run folder reads it. Paths and commands of the machine that trained are left out.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ganforge.api import UserError
from ganforge.components.calls import pictures_of
from ganforge.engine.checkpoint import checkpoint
from ganforge.engine.checkpoint.manifest import Document, read_manifest
from ganforge.evaluation.evaluate import RECORD
from ganforge.evaluation.sample import TrainedGenerator, condition_rows
from ganforge.export.card import card
from ganforge.export.description import provenance
from ganforge.outputs.atomic import write_bytes
from ganforge.outputs.grid import save_grid
from ganforge.outputs.metrics_log import read_rows
from ganforge.outputs.run_folder import RunFolder

PUBLIC = ("ganforge", "python", "packages", "plugins", "git", "started", "finished", "data_spec", "seed",
          "parameters", "device", "gpu")  # fmt: skip
"""Keys of run.json that are published."""
CARD = "README.md"
SAMPLES = "samples.png"
SAMPLE_COUNT = 32


def refuse_taken(target: Path) -> None:
    """Raises `UserError` unless `target` is a new or an empty folder."""
    if not target.name:
        raise UserError(f"expected --hub to be the name of a new folder, got {target}")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UserError(f"{target} already exists and is not an empty folder; choose another with --hub")


def write_hub(
    run: RunFolder,
    generator: TrainedGenerator,
    choice: str,
    target: Path,
    license_name: str,
    say: Callable[[str], None],
) -> None:
    """Writes the folder: config.toml, run.json, one checkpoint with the generator alone, the evaluations of
    that checkpoint, samples, and a card with `license_name`. `generator` was opened with `choice`."""
    refuse_taken(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        _write(run, generator, choice, unfinished, license_name, say)
        unfinished.rename(target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _write(
    run: RunFolder,
    generator: TrainedGenerator,
    choice: str,
    folder: Path,
    license_name: str,
    say: Callable[[str], None],
) -> None:
    tables, info = run.read_config(), run.read_info()
    group = "generator" if tables.get("ema", {}).get("halflife") else "network_g"
    tensors, state = checkpoint.load_chosen(run.checkpoints, choice, say, groups={group})
    kept = {key: info[key] for key in PUBLIC if key in info}
    public = RunFolder.create(folder, without_paths(_without_trackers(tables)), kept)
    for unused in (public.grids, public.wandb):
        unused.rmdir()
    saved = checkpoint.save(public.checkpoints, {group: tensors[group]}, _bare(state), keep=1)
    (sha256,) = read_manifest(saved)["files"].values()
    evaluations = [each for each in read_rows(run.path / RECORD) if each.get("generator_sha256") == sha256]
    if evaluations:
        lines = "".join(json.dumps(without_paths(each)) + "\n" for each in evaluations)
        write_bytes(folder / RECORD, lines.encode())
    labels = generator.spec.labels
    pictured = all(part.kind not in ("image", "vector") for part in labels.each.values())
    if pictured:
        cond = condition_rows(labels, [], SAMPLE_COUNT, 0)
        samples = generator.sampler.sample(SAMPLE_COUNT, 0, cond)
        save_grid(pictures_of(generator.dataset, samples), folder / SAMPLES)
    about = provenance(run, generator)
    about["parameters"] = sum(each.numel() for each in generator.sampler.network.parameters())
    about["sha256"] = sha256
    text = card(about, generator.spec, evaluations, license_name, SAMPLES if pictured else None)
    write_bytes(folder / CARD, text.encode())


def _without_trackers(tables: Mapping[str, Any]) -> dict[str, Any]:
    """Without where the run was recorded as well: accounts, addresses of servers, arguments of clients."""
    return {key: value for key, value in tables.items() if key != "trackers"} | {
        "wandb": {"mode": "disabled"}
    }


def without_paths(value: Any) -> Any:
    """Tables in which of an absolute path, or one in a home, only the last part is left: the rest is of one
    machine."""
    if isinstance(value, Mapping):
        return {key: without_paths(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_paths(item) for item in value]
    if isinstance(value, str) and (os.path.isabs(value) or value.startswith(("~", "file:"))):
        return Path(value).name or "data"
    return value


def _bare(state: Document) -> Document:
    """What reading a checkpoint needs of its state."""
    return {
        "iteration": state["iteration"],
        "images_seen": state["images_seen"],
        "seconds": state.get("seconds", 0.0),
        "owes_metrics": False,
        "best": None,
        "stamp": {},
        "health": None,
        "published": True,
    }
