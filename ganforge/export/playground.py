"""What the page has to know about a run: its controls, and latents to compare its own with."""

from __future__ import annotations

import base64
import re
import shlex
from typing import Any

from torch import Tensor

from ganforge.api import Architecture, UserError
from ganforge.evaluation.sample import TrainedGenerator
from ganforge.export.description import describe
from ganforge.export.onnx import truncates_itself
from ganforge.outputs.run_folder import RunFolder

GOLDEN = ((0, 0), (7, 3))
"""(seed, sample) of the latents that the page must compute as Python does, or else uses the table."""
LIMIT = 0.7
"""The truncation of the golden latents."""
KNOWN_PRIORS = ("normal", "uniform", "codes")
"""Priors that the page draws from by itself."""
TABLE = 256
SPARE_TABLE = 16
"""Latents in the table: of a prior that the page does not know, and of one that it does."""


def facts_for_page(run: RunFolder, generator: TrainedGenerator) -> dict[str, Any]:
    """JSON-ready. Raises `UserError` for samples or conditions that the page cannot show."""
    refuse_what_has_no_picture(generator)
    sampler, labels = generator.sampler, generator.spec.labels
    described = describe(run, generator)
    source = described["provenance"]
    knows = sampler.prior.type_name() in KNOWN_PRIORS
    name = source["run"]
    return {
        "name": name,
        "file": re.sub(r"[^\w-]+", "-", name) or "sample",
        # Its path would be that of the machine that exports, in a page that others read.
        "command": shlex.quote(name),
        "facts": _facts(generator),
        "about": _about(source, labels.in_words()),
        "prior": described["prior"],
        "condition": described["condition"],
        "condition_shape": list(labels.shape),
        "shape": list(generator.spec.shape),
        "truncation": truncates(generator),
        "golden": [_golden(generator, seed, index) for seed, index in GOLDEN],
        "table": _packed(sampler.latents(SPARE_TABLE if knows else TABLE, 0).z),
    }


def refuse_what_has_no_picture(generator: TrainedGenerator) -> None:
    shape, labels = generator.spec.shape, generator.spec.labels
    if not (len(shape) == 3 and shape[0] in (1, 3, 4)) and shape != (2,):
        raise UserError(
            "the page shows images with 1, 3 or 4 channels and points in the plane, got samples of shape "
            f"{shape}; use --onnx"
        )
    if labels.parts:
        raise UserError(
            f"the page takes a single condition, got {len(labels.parts)} by name "
            f"({', '.join(labels.parts)}); use --onnx"
        )
    if labels.kind == "image" and labels.size[0] not in (1, 3):
        raise UserError(
            f"the page takes conditions with 1 or 3 channels, got images of {labels.size}; use --onnx"
        )


def truncates(generator: TrainedGenerator) -> str | None:
    """What truncation moves: "styles", by an input of the network (StyleGAN2), or "latents" of a normal
    prior; None where the page has nothing to move."""
    sampler = generator.sampler
    if truncates_itself(sampler):
        return "styles"
    elsewhere = type(sampler.nets).truncate is not Architecture.truncate
    return "latents" if sampler.prior.type_name() == "normal" and not elsewhere else None


def _golden(generator: TrainedGenerator, seed: int, index: int) -> dict[str, Any]:
    z = generator.sampler.latents(index + 1, seed).z[index:]
    cut = generator.sampler.prior.truncated(z, LIMIT) if truncates(generator) == "latents" else None
    return {
        "seed": seed,
        "index": index,
        "z": _packed(z),
        "limit": LIMIT,
        "truncated": None if cut is None else _packed(cut),
    }


def _packed(values: Tensor) -> str:
    """float32, little endian, as base64."""
    return base64.b64encode(values.float().contiguous().numpy().astype("<f4").tobytes()).decode()


def _facts(generator: TrainedGenerator) -> list[str]:
    parameters = sum(each.numel() for each in generator.sampler.network.parameters())
    shape = generator.spec.shape
    seen = "images" if len(shape) == 3 else "points"
    what = f"{shape[2]}x{shape[1]} pixels" if len(shape) == 3 else "points in the plane"
    return [
        what,
        f"trained on {generator.images_seen:,} {seen}",
        f"{parameters / 1e6:.2g} million parameters" if parameters >= 1e5 else f"{parameters:,} parameters",
    ]


def _about(source: dict[str, Any], labels: str) -> list[tuple[str, str]]:
    """Terms and their texts, in reading order."""
    components = source["components"]
    commit = (source.get("git") or {}).get("commit")
    rows = [
        ("Run", source["run"]),
        ("Data", f"{components.get('data')}, {labels}"),
        ("Networks", components.get("nets")),
        ("Prior", components.get("prior")),
        ("Loss", components.get("loss")),
        ("Images seen", f"{source['images_seen']:,}"),
        ("Weights", source["weights"]),
        ("Seed", source["seed"]),
        ("Started", source.get("started")),
        ("ganforge", source.get("ganforge")),
        ("torch", source.get("torch")),
        ("Commit", commit),
    ]
    return [(term, str(text)) for term, text in rows if text is not None]
