"""What an exported generator says about itself: its inputs, its output, and where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ganforge.components.calls import z_dim_of
from ganforge.evaluation.sample import TrainedGenerator
from ganforge.outputs.run_folder import RunFolder

KEPT = ("ganforge", "started", "finished", "plugins", "git")
"""Keys of run.json that are passed on. The command line and the machine are left out: they have the paths and
names of whoever trained."""


def describe(run: RunFolder, generator: TrainedGenerator) -> dict[str, Any]:
    """JSON-ready: `prior`, `condition`, `sample` and `provenance`."""
    prior, labels = generator.sampler.prior, generator.spec.labels
    return {
        "prior": {
            **prior.model_dump(mode="json"),
            "width": z_dim_of(prior),
            "codes": [code._asdict() for code in prior.codes()],
        },
        "condition": labels.model_dump(mode="json"),
        "sample": {
            "shape": list(generator.spec.shape),
            "range": [-1, 1] if generator.spec.is_image else None,
        },
        "provenance": provenance(run, generator),
    }


def provenance(run: RunFolder, generator: TrainedGenerator) -> dict[str, Any]:
    """Which run, which checkpoint, which versions."""
    info, tables = run.read_info(), run.read_config()
    return {
        "run": run.path.resolve().name,
        "images_seen": generator.images_seen,
        "seed": tables.get("train", {}).get("seed", 0),
        "weights": "moving average" if _averaged(tables) else "as trained",
        "components": {kind: tables[kind]["type"] for kind in ("data", "task", "prior", "nets", "loss")
                       if kind in tables},
        "torch": info.get("packages", {}).get("torch"),
        **{key: info[key] for key in KEPT if key in info},
    }  # fmt: skip


def _averaged(tables: Mapping[str, Any]) -> bool:
    return bool(tables.get("ema", {}).get("halflife"))
