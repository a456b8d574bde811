"""Checkpoints: safetensors and JSON, written to a temporary folder, flushed to disk, then renamed.

A checkpoint is a folder named by the images seen. `manifest.json` is written last and contains the
SHA-256 of every file, itself included, so that damage is detected before anything is loaded. Nothing
in it is ever unpickled.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

import ganforge
from ganforge.api import UserError
from ganforge.api.digest import file_sha256
from ganforge.engine.checkpoint.manifest import (
    FORMAT,
    MANIFEST,
    SEAL,
    Document,
    NewerFormat,
    read_manifest,
    seal_is_intact,
    sealed,
)
from ganforge.engine.checkpoint.safetensors_writer import write_tensors
from ganforge.files import read_regular, refuse_irregular, within

Tensors = dict[str, dict[str, Tensor]]
"""Group -> name -> tensor; a group is a file."""

BEST = "best.json"
MISFITS = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""Exceptions raised by restoring a state that is not this network's, or not a state at all."""


def save(
    folder: Path,
    tensors: Mapping[str, Mapping[str, Tensor]],
    state: Mapping[str, Any],
    keep: int,
    records: Iterable[Path] = (),
) -> Path:
    """Writes `folder/<images_seen>/`: one safetensors file per group, `state` in the manifest.

    Keeps the newest `keep` checkpoints, the one that `state["best"]` names, and the last healthy one.
    `records` are files that must be on disk before the checkpoint counts, such as the log so far.
    Raises `OSError` on a full or unwritable disk, and then every earlier checkpoint is unchanged.
    """
    # Not its parents: a run folder that was moved away is not to appear again.
    within(folder, folder.parent).mkdir(exist_ok=True)
    final = folder / f"{state['images_seen']:012d}"
    beside = folder / f".{final.name}.{os.getpid()}.tmp"
    shutil.rmtree(beside, ignore_errors=True)
    try:
        beside.mkdir()
        files = {}
        for group, content in tensors.items():
            on_cpu = {name: tensor.detach().cpu() for name, tensor in content.items()}
            file = beside / f"{group}.safetensors"
            files[file.name] = write_tensors(on_cpu, file)
        manifest = {
            "format": FORMAT, "ganforge": ganforge.__version__, "files": files, "state": dict(state),
        }  # fmt: skip
        _write(beside / MANIFEST, sealed(manifest))
        for path in (*(record for record in records if record.exists()), beside):
            _sync(path)
        _put_in_place(beside, final)
        _sync(folder)
        _note_best(folder, state.get("best"))
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    retain(folder, keep, state)
    return final


def retain(folder: Path, keep: int, state: Mapping[str, Any]) -> None:
    """Deletes the checkpoints that are not to be kept now that the newest has `state`."""
    kept = {best_of(folder), _last_healthy(folder, state)}
    for old in complete(folder)[:-keep]:
        if old not in kept:
            shutil.rmtree(old)


def complete(folder: Path) -> list[Path]:
    """The complete checkpoints in a folder, oldest first."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.name.isdecimal() and (path / MANIFEST).is_file())


def best_of(folder: Path) -> Path | None:
    """The checkpoint that `best.json` names; None if there is none, or if `best.json` is damaged."""
    try:
        written = read_regular(folder / BEST)
        named = json.loads(written.decode())
        found = folder / f"{named['images_seen']:012d}"
    except (OSError, UserError, ValueError, KeyError, TypeError, RecursionError):
        return None
    if SEAL in named and not seal_is_intact(written, named):
        return None
    return found if (found / MANIFEST).is_file() else None


def _last_healthy(folder: Path, state: Mapping[str, Any]) -> Path | None:
    """The newest checkpoint from before the run became unhealthy, according to the one being written."""
    seen = (state.get("health") or {}).get("healthy_at")
    return None if seen is None else folder / f"{seen:012d}"


def remove_leftovers(folder: Path) -> None:
    """Removes what a killed process left incomplete; call it while no other process saves."""
    if not within(folder, folder.parent).is_dir():
        return
    for path in sorted(folder.glob(".*.tmp")):
        replaced = folder / path.name.split(".")[1]
        # Killed between the two renames that replace a checkpoint by one of the same name.
        if path.name.endswith(".old.tmp") and not replaced.exists():
            path.rename(replaced)
        elif path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def load_newest(
    folder: Path, say: Callable[[str], None], groups: Collection[str] | None = None
) -> tuple[Tensors, Document]:
    """The newest intact checkpoint; damaged ones are skipped with a warning.

    Raises `UserError` if there is none, or if the newest has a newer format.
    """
    for candidate in reversed(complete(folder)):
        try:
            return load(candidate, groups)
        except NewerFormat:
            raise
        except UserError as error:
            say(f"warning: {error}; falling back to the previous checkpoint")
    if not folder.is_dir() or not any(folder.glob("[0-9]*")):
        raise UserError(f"{folder}: no checkpoint yet; start the run again with 'ganforge run'")
    raise UserError(
        f"{folder}: no intact checkpoint; to train again, delete {folder.parent}, or choose another folder "
        "with 'ganforge run --out'"
    )


def load_chosen(
    folder: Path, choice: str, say: Callable[[str], None], groups: Collection[str] | None = None
) -> tuple[Tensors, Document]:
    """The checkpoint `choice`: "newest", "best", or its number of images seen.

    Raises `UserError` if it does not exist, or is damaged.
    """
    if choice == "newest":
        return load_newest(folder, say, groups)
    if choice == "best":
        best = best_of(folder)
        if best is None and (folder / BEST).is_file():
            raise UserError(
                f"{folder / BEST}: damaged, or its checkpoint is missing; choose another checkpoint by its "
                "images seen"
            )
        if best is None:
            raise UserError(
                f"{folder}: no best checkpoint was kept; set logging.keep_best to a metric to keep one"
            )
        return load(best, groups)
    for candidate in complete(folder):
        if choice.isdecimal() and int(choice) == int(candidate.name):
            return load(candidate, groups)
    there = ", ".join(str(int(each.name)) for each in complete(folder)) or "none"
    raise UserError(f"--checkpoint {choice}: expected newest, best, or images seen (available: {there})")


def load(checkpoint: Path, groups: Collection[str] | None = None) -> tuple[Tensors, Document]:
    """The tensors (of these groups, or all) and the state of a checkpoint, converted to this format.

    Raises `UserError` if it is damaged, `NewerFormat` if a newer ganforge wrote it.
    """
    manifest = read_manifest(checkpoint)
    if not all(step in MIGRATIONS for step in range(manifest["format"], FORMAT)):
        raise UserError(
            f"{checkpoint / MANIFEST}: not a checkpoint manifest: format {manifest['format']} is no longer "
            "supported"
        )
    tensors: Tensors = {}
    for name, expected in manifest["files"].items():
        file = checkpoint / Path(name).name
        if groups is not None and file.stem not in groups:
            continue
        try:
            refuse_irregular(file)
            if file_sha256(file) != expected:
                raise UserError(f"{file}: damaged: its SHA-256 does not match {MANIFEST}")
            tensors[file.stem] = load_file(file)
        except (OSError, SafetensorError) as error:
            raise UserError(f"{file}: cannot be read: {error}") from None
    state = manifest["state"]
    for version in range(manifest["format"], FORMAT):
        tensors, state = MIGRATIONS[version](tensors, state)
    return tensors, state


def _remember_more(tensors: Tensors, state: Document) -> tuple[Tensors, Document]:
    """1 -> 2: metrics that a stop postponed, the best value so far, and the run's environment."""
    return tensors, {"owes_metrics": False, "best": None, "stamp": {}, "health": None, **state}


def _unchanged(tensors: Tensors, state: Document) -> tuple[Tensors, Document]:
    """2 -> 3: the manifest carries a hash of itself; the state is the same."""
    return tensors, state


MIGRATIONS: dict[int, Callable[[Tensors, Document], tuple[Tensors, Document]]] = {
    1: _remember_more,
    2: _unchanged,
}
"""Format -> its conversion to the next one. The tensors are those that were requested."""


def weights(network: nn.Module) -> dict[str, Tensor]:
    """All parameters and buffers."""
    return dict(network.state_dict())


def _put_in_place(beside: Path, final: Path) -> None:
    """Renames; an existing checkpoint of the same name is removed only after the new one is in place."""
    old = final.with_name(f".{final.name}.old.tmp")
    if final.exists():
        shutil.rmtree(old, ignore_errors=True)
        final.rename(old)
    beside.rename(final)
    shutil.rmtree(old, ignore_errors=True)


def _note_best(folder: Path, best: Mapping[str, Any] | None) -> None:
    """`best.json`: which checkpoint is kept for which value."""
    if best is None:
        (folder / BEST).unlink(missing_ok=True)
        return
    beside = folder / f".{BEST}.{os.getpid()}.tmp"
    _write(beside, sealed(best))
    beside.replace(folder / BEST)


def _write(file: Path, content: bytes) -> None:
    with file.open("wb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())


def _sync(path: Path) -> None:
    """Flushes a file's bytes, or a folder's entries, to survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
