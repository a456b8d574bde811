"""The command line called in this process, on an example in small, and what it did."""

from __future__ import annotations

import contextlib
import io
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pytest
from accelerate.state import AcceleratorState

from ganforge.cli import main
from support.paths import EXAMPLES

EXAMPLE = EXAMPLES / "baselines" / "cgan_iclevr_dcgan.toml"
TINY = ("data.scenes=4", "data.image_size=16", "nets.width=8", "train.images=64", "train.batch_size=32",
        "train.device=cpu", "logging.every=32", "logging.grid_every=0", "wandb.mode=disabled")  # fmt: skip
"""A run of two iterations on 12 images of 16x16."""


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


def call(folder: Path, *arguments: object) -> Done:
    """Runs the command line in this process and in `folder`; an error that would end in a
    traceback is raised."""
    out, err = io.StringIO(), io.StringIO()
    AcceleratorState._reset_state(reset_partial_state=True)
    with (
        contextlib.chdir(folder),
        mock.patch.object(sys, "argv", ["ganforge", *map(str, arguments)]),
        mock.patch.dict("os.environ", {"XDG_CACHE_HOME": str(folder / ".cache")}),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as ended,
    ):
        main()
    return Done(int(ended.value.code or 0), out.getvalue(), err.getvalue())


def sets(*overrides: str) -> list[str]:
    """`--set` before each."""
    return [word for override in overrides for word in ("--set", override)]


def contents(folder: Path) -> dict[str, bytes | None]:
    """Every path below a folder, with the bytes of files; without the cache of data."""
    found = {path.relative_to(folder): path for path in sorted(folder.rglob("*"))}
    return {
        str(name): path.read_bytes() if path.is_file() else None
        for name, path in found.items()
        if name.parts[0] != ".cache"
    }


def refused(place: Path, *arguments: object) -> list[str]:
    """The message to a mistake, by lines, after which everything is as it was."""
    before = contents(place)
    done = call(place, *arguments)
    assert (done.code, done.out) == (2, "")
    assert contents(place) == before
    return done.err.splitlines()


def complaint(done: Done) -> str:
    """What is on stderr other than the line about the data."""
    return "".join(line for line in done.err.splitlines(keepends=True) if not line.startswith("data: "))
