"""Exported generators kept in the user's cache, so that a page opens at once the second time.

Importable without torch, which takes longer than everything else that a kept page needs.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path
from typing import Any

import ganforge
from ganforge.api.digest import file_sha256
from ganforge.files import read_regular
from ganforge.outputs.atomic import write_bytes, write_json
from ganforge.outputs.cache import cache_folder
from ganforge.outputs.run_folder import RunFolder

SUFFIX = ".page"
MAX_BYTES = 4 * 2**30
"""Bytes of an entry that is read."""
GROUP = "ganforge"
"""The entry points of plugins; that of `ganforge.api`, which imports torch."""
PACKAGES = ("torch", "onnx", "onnxscript")
SOURCES = ("*.py", "*.js", "*.css", "*.html")


@dataclass(frozen=True)
class Kept:
    """An export: what the page has to know, and the network as an ONNX file."""

    facts: dict[str, Any]
    network: bytes


def key_of(run: RunFolder, choice: str) -> str | None:
    """64 hexadecimal digits for everything that an export of the run's checkpoint `choice` depends on: the
    run's records and weights, the code of ganforge and of the plugins, and the versions of the exporter.
    None if it cannot be found out, as for a run without a checkpoint."""
    checkpoint = chosen(run, choice)
    if checkpoint is None:
        return None
    weights = sorted((*checkpoint.glob("generator.safetensors"), *checkpoint.glob("network_g.safetensors")))
    try:
        parts = [
            sys.version, os.environ.get("GANFORGE_DISABLE_PLUGINS", ""),
            run.path.resolve().name, checkpoint.name,
            *(f"{name} {metadata.version(name)}" for name in PACKAGES),
            *(f"{file.name} {file_sha256(file)}" for file in (run.config, run.info)),
            *(f"{file.name} {file_sha256(file)}" for file in (checkpoint / "manifest.json", *weights)),
            *(f"{name} {digest}" for name, digest in _code()),
        ]  # fmt: skip
    except (OSError, metadata.PackageNotFoundError):
        return None
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def chosen(run: RunFolder, choice: str) -> Path | None:
    """The checkpoint that `choice` means if none is damaged; None if there is none."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        there = {int(each.name): each for each in run.checkpoints.iterdir() if each.name.isdecimal()}
        if choice == "best":
            return there.get(json.loads(read_regular(run.checkpoints / "best.json"))["images_seen"])
        return there.get(max(there) if choice == "newest" else int(choice))
    return None


def read(key: str) -> Kept | None:
    """The entry of that key, which counts as used now; None if there is none, or a damaged one."""
    entry = cache_folder() / f"{key}{SUFFIX}"
    try:
        digest, _, content = read_regular(entry, MAX_BYTES).partition(b"\n")
        if hashlib.sha256(content).hexdigest().encode() != digest:
            return None
        facts, _, network = content.partition(b"\n")
        kept = Kept(json.loads(facts), network)
    # UserError, too: of a file that is a folder or a pipe, which is no entry either.
    except Exception:
        return None
    with contextlib.suppress(OSError):
        os.utime(entry.with_suffix(".json"))
    return kept


def write(key: str, kept: Kept, holds: str) -> None:
    """Keeps the export, described by `holds`, and drops what was used longest ago if the cache is full.
    A disk that is full or read-only keeps nothing."""
    from ganforge.api.cache import sweep, trim

    content = json.dumps(kept.facts).encode() + b"\n" + kept.network
    entry = cache_folder() / f"{key}{SUFFIX}"
    with contextlib.suppress(OSError):
        entry.parent.mkdir(parents=True, exist_ok=True)
        sweep(entry.parent)
        write_bytes(entry, hashlib.sha256(content).hexdigest().encode() + b"\n" + content)
        write_json(entry.with_suffix(".json"), {"holds": holds})
        trim(entry.parent, entry, lambda line: None)


def _code() -> Iterator[tuple[str, str]]:
    """The digest of the source of ganforge and of each plugin, none of which is imported."""
    yield "ganforge", _digest(Path(ganforge.__file__).parent)
    for name in sorted({each.module.partition(".")[0] for each in metadata.entry_points(group=GROUP)}):
        try:
            found = util.find_spec(name)
        except (ImportError, ValueError):
            continue
        for place in (found and found.submodule_search_locations) or ():
            yield name, _digest(Path(place))
        if found is not None and found.submodule_search_locations is None and found.origin:
            yield name, file_sha256(Path(found.origin))


def _digest(folder: Path) -> str:
    """Of the names and the content of its source files."""
    total = hashlib.sha256()
    for file in sorted(file for pattern in SOURCES for file in folder.rglob(pattern)):
        total.update(f"{file.relative_to(folder)}\0{file_sha256(file)}\0".encode())
    return total.hexdigest()
