"""A way in a process of its own, which takes its turns when it is told.

What a process does to be fast, with its heap or its rounding, is then of no use to the other ways; and
none finds its memory in the state in which another has left it.

python -m benchmarks.elsewhere cgan_iclevr64 expert FOLDER --batch 64
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import click

from benchmarks.settings import Settings
from benchmarks.settings import options as settings_options
from support.paths import TESTS

READY = "ready"
FACTS = "facts"


class Elsewhere:
    """Stretches of a way, timed where they are run; its process ends with the block."""

    def __init__(
        self,
        work: str,
        way: str,
        settings: Settings,
        folder: Path,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        """The data are written to `folder`, or found there."""
        command = [
            sys.executable,
            "-m",
            "benchmarks.elsewhere",
            work,
            way,
            str(folder.resolve()),
            *settings.options(),
        ]
        self.process = subprocess.Popen(
            command,
            cwd=TESTS,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._answer() == READY

    def __call__(self, iterations: int) -> float:
        """Seconds per iteration."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{iterations}\n")
        self.process.stdin.flush()
        return float(self._answer())

    def facts(self) -> dict[str, Any]:
        """What the way says of itself: recordings and replays of ganforge's; empty for the others."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{FACTS}\n")
        self.process.stdin.flush()
        found: dict[str, Any] = json.loads(self._answer())
        return found

    def __enter__(self) -> Elsewhere:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.communicate()

    def _answer(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"a way has ended with code {self.process.wait()}; it says why above")
        return line.strip()


@click.command()
@click.argument("work")
@click.argument("way")
@click.argument("folder", type=click.Path(path_type=Path))
@settings_options
def main(work: str, way: str, folder: Path, settings: Settings) -> None:
    from benchmarks.loops import WAYS, EngineLoop
    from benchmarks.measure import timed

    job = settings.open(work, folder, way)
    trained = WAYS[way](job)
    stretch = timed(trained, job.device)
    click.echo(READY)
    sys.stdout.flush()
    for line in sys.stdin:
        if line.strip() == FACTS:
            click.echo(json.dumps(trained.facts() if isinstance(trained, EngineLoop) else {}))
        else:
            click.echo(stretch(int(line)))
        sys.stdout.flush()


if __name__ == "__main__":
    main()
