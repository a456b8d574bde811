"""The playground: a folder for a web server, or one file that opens from a disk."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganforge.api import Dataset, UserError
from ganforge.evaluation.sample import TrainedGenerator
from ganforge.export.description import describe
from ganforge.export.half import halved
from ganforge.export.onnx import to_onnx
from ganforge.export.page_parts import RUNTIME, SCRIPTS, STYLE, asset, folder_page, single_page
from ganforge.export.playground import facts_for_page
from ganforge.outputs.atomic import write_bytes
from ganforge.outputs.run_folder import RunFolder

if TYPE_CHECKING:
    from onnx import ModelProto

INDEX = "index.html"
MODEL = "model.onnx"
LICENSE = "LICENSE.onnxruntime"
SUFFIXES = (".html", ".htm")


def runtime_files() -> dict[str, bytes]:
    """onnxruntime-web's files and its license, by name. Raises `UserError` if they are not installed."""
    try:
        folder: Path = importlib.import_module("ganforge_web").runtime()
        return {name: (folder / name).read_bytes() for name in (*RUNTIME, LICENSE)}
    except (ImportError, OSError) as error:
        raise UserError(
            "the page needs onnxruntime-web, which the package ganforge-web has and which is not installed; "
            "type: pip install ganforge-web (or, in a checkout: pip install ./plugins/ganforge-web)"
        ) from error


def is_page(folder: Path) -> bool:
    """Whether the folder is one that `write_folder` wrote."""
    return all((folder / name).is_file() for name in (INDEX, MODEL, "app.js"))


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


def write_page(run: RunFolder, generator: TrainedGenerator, target: Path) -> int:
    """Writes the page of a run's generator to the folder or .html file `target`; returns its bytes."""
    refuse_target(target)
    runtime = runtime_files()
    facts = facts_for_page(run, generator)
    data = generator.dataset
    picture = None if type(data).picture is Dataset.picture else data.picture
    network = to_onnx(generator.sampler, describe(run, generator), picture)
    facts["latent"] = "z" in [each.name for each in network.graph.input]
    if target.suffix.lower() in SUFFIXES:
        return _write_file(target, facts, runtime, network)
    return _write_folder(target, facts, runtime, network)


def _write_file(target: Path, facts: dict[str, Any], runtime: dict[str, bytes], network: ModelProto) -> int:
    small = halved(network).SerializeToString()
    page = single_page({**facts, "inline": True}, runtime, small).encode()
    target.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(target, page)
    return len(page)


def _write_folder(target: Path, facts: dict[str, Any], runtime: dict[str, bytes], network: ModelProto) -> int:
    written = {
        MODEL: network.SerializeToString(),
        **{f"runtime/{name}": content for name, content in runtime.items()},
        **{name: asset(name).encode() for name in (STYLE, *SCRIPTS)},
        # Last: a folder with an index is a whole one.
        INDEX: folder_page({**facts, "inline": False}).encode(),
    }
    (target / "runtime").mkdir(parents=True, exist_ok=True)
    for name, content in written.items():
        write_bytes(target / name, content)
    return sum(map(len, written.values()))
