"""Where a run's numbers come from: versions, commit, machine, command line."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import ganforge

PACKAGES = ("torch", "torchvision", "accelerate", "pydantic", "pluggy", "safetensors", "wandb", "numpy")


def provenance(plugins: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Everything about the environment that run.json records.

    `plugins` is stored as given. `git` describes the working directory, and is None if that is not
    in a git checkout. In `cpu`, `threads` is the machine's count and `used` the number torch
    computes with.
    """
    return {
        "ganforge": ganforge.__version__,
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "plugins": [dict(plugin) for plugin in plugins],
        "platform": platform.platform(),
        "cpu": {"model": cpu_model(), "threads": os.cpu_count(), "used": _threads_used()},
        "git": _git(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": list(sys.argv),
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _threads_used() -> int:
    # Imported here because drawing a report needs no torch.
    import torch

    return torch.get_num_threads()


def cpu_model() -> str:
    """The processor's model name as the OS reports it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def _git() -> dict[str, Any] | None:
    """The commit of the working directory and whether the working tree is dirty."""
    commit = _ask_git("rev-parse", "HEAD")
    if commit is None:
        return None
    changes = _ask_git("status", "--porcelain")
    return {"commit": commit, "dirty": None if changes is None else changes != ""}


def _ask_git(*arguments: str) -> str | None:
    """Output of git; None if there is no git, no checkout, or no answer in time."""
    # Without optional locks, reading the status cannot block the user's own git commands.
    command = ["git", "--no-optional-locks", *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=5, check=True, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
