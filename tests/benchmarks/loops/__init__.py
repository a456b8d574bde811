"""The three ways."""

from __future__ import annotations

from typing import Protocol

from benchmarks.job import Job
from benchmarks.loops.engine import EngineLoop
from benchmarks.loops.expert import ExpertLoop
from benchmarks.loops.tutorial import TutorialLoop
from ganforge.api import Networks


class Way(Protocol):
    """One way to train a job."""

    networks: Networks

    def __init__(self, job: Job) -> None: ...

    def iterate(self) -> None:
        """The updates of the discriminator, then that of the generator."""

    def synchronize(self) -> None:
        """Reads what was logged, as at a line of the log."""


WAYS: dict[str, type[Way]] = {"tutorial": TutorialLoop, "expert": ExpertLoop, "ganforge": EngineLoop}

__all__ = ["WAYS", "EngineLoop", "ExpertLoop", "TutorialLoop", "Way"]
