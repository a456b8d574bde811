"""The playground: a folder for a web server, or one file that opens from a disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganforge.api import Dataset, UserError
from ganforge.evaluation.sample import TrainedGenerator
from ganforge.export.description import describe
from ganforge.export.half import halved
from ganforge.export.onnx import to_onnx
from ganforge.export.page_folder import is_page, runtime_files, write_folder
from ganforge.export.page_parts import single_page
from ganforge.export.playground import facts_for_page
from ganforge.outputs.atomic import write_bytes
from ganforge.outputs.run_folder import RunFolder

if TYPE_CHECKING:
    from onnx import ModelProto

SUFFIXES = (".html", ".htm")


def refuse_target(target: Path) -> None:
    """Raises `UserError` unless a page can be written to `target`: a .html file, or a folder that is new,
    empty or has an exported page."""
    if target.suffix.lower() in SUFFIXES:
        return
    if target.is_file():
        raise UserError(f"expected --web to be a folder or a .html file, got the file {target}")
    if target.is_dir() and any(target.iterdir()) and not is_page(target):
        raise UserError(
            f"{target} is not empty and is not an exported page; choose another folder with --web"
        )


def exported(run: RunFolder, generator: TrainedGenerator) -> tuple[dict[str, Any], ModelProto]:
    """What the page of a run has to know, and its network."""
    facts = facts_for_page(run, generator)
    data = generator.dataset
    picture = None if type(data).picture is Dataset.picture else data.picture
    network = to_onnx(generator.sampler, describe(run, generator), picture)
    facts["latent"] = "z" in [each.name for each in network.graph.input]
    return facts, network


def write_page(run: RunFolder, generator: TrainedGenerator, target: Path) -> int:
    """Writes the page of a run's generator to the folder or .html file `target`; returns its bytes."""
    refuse_target(target)
    runtime = runtime_files()
    facts, network = exported(run, generator)
    if target.suffix.lower() in SUFFIXES:
        return _write_file(target, facts, runtime, network)
    return write_folder(target, facts, runtime, network.SerializeToString())


def _write_file(target: Path, facts: dict[str, Any], runtime: dict[str, bytes], network: ModelProto) -> int:
    small = halved(network).SerializeToString()
    page = single_page({**facts, "inline": True}, runtime, small).encode()
    target.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(target, page)
    return len(page)
