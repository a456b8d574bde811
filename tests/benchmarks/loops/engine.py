"""ganforge: the loop of `ganforge run`, without what is written down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.job import Job
from ganforge.api import Networks
from ganforge.engine.distributed.runtime import Runtime
from ganforge.engine.sampling.grids import Grid
from ganforge.training.build import build_loop


class Silent:
    """An observer that writes nothing down, and keeps what the user would be told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def row(self, row: Mapping[str, float | int]) -> None: ...

    def tick(self, images_seen: int) -> None: ...

    def grid(self, images_seen: int, grid: Grid) -> None: ...

    def say(self, line: str) -> None:
        self.lines.append(line)

    def event(self, event: Mapping[str, Any]) -> None: ...

    def cut(self, images_seen: int) -> None: ...


class EngineLoop:
    def __init__(self, job: Job) -> None:
        runtime = Runtime(job.config.train)
        self.observer = Silent()
        self.loop = build_loop(job.agreed, job.samples, runtime, self.observer, job.folder / "checkpoints")
        players = self.loop.game.players
        self.networks = Networks(players["g"].network, players["d"].network)
        # What a run finds out by timing itself (train.compile = "auto") comes before it is timed here.
        while self.loop.trial.choice is None:
            self.iterate()

    def iterate(self) -> None:
        # An iteration between two lines of the log, which is what nearly all of them are.
        self.loop._iterate(False)

    def synchronize(self) -> None:
        self.loop.game.means.take()

    def facts(self) -> dict[str, Any]:
        """Whether the fast paths ran."""
        replays = self.loop.replays
        return {
            "recorded": 0 if replays is None else replays.recorded,
            "replayed": 0 if replays is None else replays.replayed,
            "said": self.observer.lines,
        }
