"""The command line in processes of their own that start at once: forks of a server that has imported everything."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerContext
from pathlib import Path

from support.command_line import Done

PRELOADED = [
    "ganforge.cli",
    "ganforge.training.run",
    "ganforge.evaluation.evaluate",
    "ganforge.outputs.report",
    "ganforge_architectures",
    "ganforge_datasets",
    "ganforge_losses",
    "ganforge_metrics",
]
KILLED = -9
"""The exit code of a command that took too long."""


def server() -> ForkServerContext:
    """The context whose processes have all of `PRELOADED` when they start."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


def forked(folder: Path | bytes, *arguments: object, seconds: float = 300.0, **environment: str) -> Done:
    """Runs `ganforge` with these arguments in `folder`; a traceback is in `err`, with code 1."""
    with tempfile.TemporaryDirectory() as place:
        streams = [os.path.join(place, name) for name in ("out", "err")]
        process = server().Process(
            target=_child,
            args=(
                os.fsencode(folder),
                [os.fspath(a) if isinstance(a, Path) else str(a) for a in arguments],
                streams,
                environment,
            ),
        )
        process.start()
        process.join(seconds)
        if process.is_alive():
            process.kill()
            process.join()
        out, err = (
            Path(stream).read_text(errors="replace") if Path(stream).exists() else "" for stream in streams
        )
        return Done(process.exitcode or 0, out, err)


def _child(
    folder: bytes, arguments: Sequence[str], streams: Sequence[str], environment: Mapping[str, str]
) -> None:
    import torch

    from ganforge.cli import main

    torch.set_num_threads(1)
    for descriptor, stream in zip((1, 2), streams, strict=True):
        os.dup2(os.open(stream, os.O_WRONLY | os.O_CREAT | os.O_APPEND), descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(folder)
    os.environ.update(environment)
    sys.argv = ["ganforge", *arguments]
    with contextlib.suppress(KeyboardInterrupt):
        main()
