"""Checkpoints: safetensors and JSON, written beside, flushed to disk, and renamed into place.

A checkpoint is a folder named by the images seen. `manifest.json` is written last and holds the
SHA-256 of every other file, so that a damaged checkpoint is known for one before it is loaded.
Nothing in it is ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ganforge.api import UserError

FORMAT = 1
MANIFEST = "manifest.json"


def save(
    folder: Path, tensors: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any], keep: int
) -> Path:
    """Writes `folder/<images_seen>/`: one safetensors file a group, `state` in the manifest.

    Keeps the newest `keep` checkpoints. Raises `OSError` on a full or unwritable disk, and then
    every earlier checkpoint is as it was.
    """
    folder.mkdir(parents=True, exist_ok=True)
    final = folder / f"{state['images_seen']:012d}"
    beside = folder / f".{final.name}.{os.getpid()}.tmp"
    shutil.rmtree(beside, ignore_errors=True)
    try:
        beside.mkdir()
        hashes = {}
        for group, content in tensors.items():
            file = beside / f"{group}.safetensors"
            _save_tensors(content, file)
            hashes[file.name] = _sha256(file)
        manifest = {"format": FORMAT, "files": hashes, "state": dict(state)}
        _write(beside / MANIFEST, json.dumps(manifest, indent=1).encode())
        if final.exists():
            shutil.rmtree(final)
        beside.rename(final)
        _sync(folder)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    for old in complete(folder)[:-keep]:
        shutil.rmtree(old)
    return final


def complete(folder: Path) -> list[Path]:
    """The checkpoints in a folder, oldest first; unfinished ones are not counted."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.name.isdecimal() and (path / MANIFEST).is_file())


def load_newest(
    folder: Path, say: Callable[[str], None], groups: Collection[str] | None = None
) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
    """The newest sound checkpoint; a damaged one is passed over, and said.

    Raises `UserError` where there is none.
    """
    for candidate in reversed(complete(folder)):
        try:
            return load(candidate, groups)
        except UserError as error:
            say(f"warning: {error}; falling back to the checkpoint before it")
    raise UserError(f"{folder}: no sound checkpoint; the run has to start anew, with 'ganforge run'")


def load(
    checkpoint: Path, groups: Collection[str] | None = None
) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
    """The tensors (of these groups, or all) and the state of a checkpoint. Raises `UserError`
    for a damaged one, or one of another format."""
    try:
        manifest = json.loads((checkpoint / MANIFEST).read_text(encoding="utf-8"))
        version, files, state = manifest["format"], dict(manifest["files"]), dict(manifest["state"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{checkpoint / MANIFEST}: not a checkpoint manifest: {error}") from None
    if version != FORMAT:
        raise UserError(
            f"{checkpoint}: checkpoint format {version!r} is not one this ganforge reads "
            f"(it reads {FORMAT}); use the ganforge that wrote it"
        )
    tensors = {}
    for name, expected in files.items():
        file = checkpoint / Path(name).name
        if groups is not None and file.stem not in groups:
            continue
        try:
            if _sha256(file) != expected:
                raise UserError(f"{file}: damaged: its SHA-256 is not the one in {MANIFEST}")
            tensors[file.stem] = load_file(file)
        except (OSError, SafetensorError) as error:
            raise UserError(f"{file}: cannot be read: {error}") from None
    return tensors, state


def pack_optimizer(optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
    """An optimiser's state as (tensors by `index.name`, parameter groups as plain data)."""
    state = optimizer.state_dict()
    tensors = {
        f"{index}.{name}": torch.as_tensor(value)
        for index, entry in state["state"].items()
        for name, value in entry.items()
        if value is not None
    }
    return tensors, state["param_groups"]


def unpack_optimizer(
    optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor], groups: list[dict[str, Any]]
) -> None:
    """Puts back what `pack_optimizer` took, in the memory format of each parameter: fused
    kernels walk through weight and moment side by side."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, _, name = key.partition(".")
        parameter = parameters[int(index)]
        if value.shape == parameter.shape:
            value = torch.empty_like(parameter, requires_grad=False).copy_(value)
        state.setdefault(int(index), {})[name] = value
    # JSON has no tuples; a group's betas come back as the list they became.
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def weights(network: nn.Module) -> dict[str, Tensor]:
    """All parameters and buffers."""
    return dict(network.state_dict())


def _save_tensors(tensors: Mapping[str, Tensor], file: Path) -> None:
    # Memory format is no part of the file, and safetensors wants plain rows.
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    try:
        save_file(plain, file)
    except SafetensorError as error:
        # The library tells the number of an operating-system error only in words.
        number = re.search(r"(?:os error|code:) (\d+)", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1])), str(file)) from error
    _sync(file)


def _write(file: Path, content: bytes) -> None:
    with file.open("wb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())


def _sync(path: Path) -> None:
    """Makes a file's bytes, or a folder's names, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sha256(file: Path) -> str:
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
