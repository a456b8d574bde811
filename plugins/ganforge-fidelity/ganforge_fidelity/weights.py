"""An extractor's weights: a file that is hashed, and inspected before it is trusted.

torch-fidelity unpickles what it is given, so that a file could execute any code. Here a file must first
load with `weights_only=True`, which accepts only tensors.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
import urllib.error
import urllib.request
from pathlib import Path

import torch

from ganforge.api import UserError, file_sha256

PUBLISHED = {
    "inception-v3-compat": (
        "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
        "weights-inception-2015-12-05-6726825d.pth"
    ),
    "vgg16": "https://download.pytorch.org/models/vgg16-397923af.pth",
}
"""Extractor -> URL of its weights in torch-fidelity. A file's name ends in the first digits of its
SHA-256."""

TIMEOUT_S = 20
"""Timeout in seconds after which the network is considered unavailable."""


def published_file(extractor: str) -> Path:
    """Where torch-fidelity looks for the weights: in torch's hub folder."""
    return Path(torch.hub.get_dir(), "checkpoints", PUBLISHED[extractor].rpartition("/")[2])


def published_weights(extractor: str) -> Path:
    """The published weights, downloaded if they are not there yet.

    Raises `UserError` if the download fails, with the path to put the file at, or if they are damaged.
    """
    file = published_file(extractor)
    if not file.is_file():
        _fetch(extractor, file)
    digits = file.stem.rpartition("-")[2]
    if not weights_sha256(file).startswith(digits):
        raise UserError(f"{file}: damaged: its SHA-256 does not begin with {digits}; delete it and try again")
    return file


def _fetch(extractor: str, file: Path) -> None:
    url, half = PUBLISHED[extractor], file.with_name(f".{file.name}.tmp")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer, half.open("wb") as copy:
            shutil.copyfileobj(answer, copy)
        half.replace(file)
    except OSError as error:
        with contextlib.suppress(OSError):
            half.unlink(missing_ok=True)
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise UserError(
            f"the weights of extractor '{extractor}' could not be downloaded ({reason}); on a machine with a "
            f"network connection, download\n  {url}\nand copy it to\n  {file}\n"
            'or set its path in the run file: weights = "PATH"'
        ) from None


def refuse_code(file: Path) -> None:
    """Raises `UserError` unless the file is a checkpoint of named tensors."""
    try:
        found = torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UserError(f"weights = {file}: cannot be read: {error.strerror}") from None
    except Exception as error:  # a damaged pickle may raise anything
        wanted = re.search(r"GLOBAL (\S+)", str(error))
        if wanted:
            raise UserError(
                f"{file}: refused: its pickle would execute '{wanted[1]}'; expected only tensors"
            ) from None
        raise UserError(f"{file}: not a PyTorch checkpoint of tensors") from None
    if not isinstance(found, dict) or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise UserError(f"{file}: not a PyTorch checkpoint of named tensors")


def weights_sha256(file: Path) -> str:
    """Raises `UserError` for a file that cannot be read."""
    try:
        return file_sha256(file)
    except OSError as error:
        raise UserError(f"weights = {file}: cannot be read: {error.strerror}") from None


def tensors_sha256(network: torch.nn.Module) -> str:
    """Hash for a network whose weights come from no single file."""
    found = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()
