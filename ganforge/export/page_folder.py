"""The folder of a page, from the facts and the network that an export made. Importable without torch."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ganforge.export.page_parts import RUNTIME, SCRIPTS, STYLE, asset, folder_page
from ganforge.outputs.atomic import write_bytes

INDEX = "index.html"
MODEL = "model.onnx"
LICENSE = "LICENSE.onnxruntime"


def runtime_files() -> dict[str, bytes]:
    """onnxruntime-web's files and its license, by name. Raises `UserError` if they are not installed."""
    try:
        folder: Path = importlib.import_module("ganforge_web").runtime()
        return {name: (folder / name).read_bytes() for name in (*RUNTIME, LICENSE)}
    except (ImportError, OSError) as error:
        from ganforge.api.errors import UserError

        raise UserError(
            "the page needs onnxruntime-web, which the package ganforge-web has and which is not installed; "
            "type: pip install ganforge-web (or, in a checkout: pip install ./plugins/ganforge-web)"
        ) from error


def is_page(folder: Path) -> bool:
    """Whether the folder is one that `write_folder` wrote."""
    return all((folder / name).is_file() for name in (INDEX, MODEL, "app.js"))


def write_folder(target: Path, facts: Mapping[str, Any], runtime: Mapping[str, bytes], network: bytes) -> int:
    """Writes the page with the ONNX file `network`; returns its bytes."""
    written = {
        MODEL: network,
        **{f"runtime/{name}": content for name, content in runtime.items()},
        **{name: asset(name).encode() for name in (STYLE, *SCRIPTS)},
        # Last: a folder with an index is a whole one.
        INDEX: folder_page({**facts, "inline": False}).encode(),
    }
    (target / "runtime").mkdir(parents=True, exist_ok=True)
    for name, content in written.items():
        write_bytes(target / name, content)
    return sum(map(len, written.values()))
