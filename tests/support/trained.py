"""A finished run to continue, and what is reported about its continuation."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from support.command_line import EXAMPLE, TINY, Done, call, sets

AUTO = "train.resume=auto"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run `mine` of 64 images, and the cache of its data."""
    folder = tmp_path_factory.mktemp("trained")
    assert call(folder, "run", EXAMPLE, "--out", "mine", *sets(*TINY)).code == 0
    return folder


@pytest.fixture
def place(trained: Path, tmp_path: Path) -> Path:
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    return tmp_path


def said(done: Done) -> list[str]:
    """The lines about how a run continues."""
    return [line for line in done.err.splitlines() if line.startswith("continues")]


def auto(place: Path, *overrides: str) -> Done:
    return call(place, "run", EXAMPLE, "--out", "mine", *sets(*TINY, AUTO, *overrides))
