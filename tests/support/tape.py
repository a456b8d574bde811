"""CUDA graphs of torch replaced by tapes (`ganforge.testing.tape`), on the CPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch

from ganforge.api import Stream
from ganforge.testing.tape import Tape

HANDLES: dict[int, torch.Generator] = {}
"""State of a generator, by its address -> the handle on it: on the CPU torch has none, so this is another
generator that stands for it."""


def handle_of(stream: torch.Generator) -> torch.Generator:
    """Stands for `torch.Generator.graphsafe_get_state`: of the exact type, and the same for the same stream."""
    return HANDLES.setdefault(stream._cdata, torch.Generator())


class TapeGraph:
    """Stands for `torch.cuda.CUDAGraph`, and refuses what that refuses."""

    made: list[TapeGraph]

    def __init__(self) -> None:
        self.tape = Tape()
        self.made.append(self)

    def register_generator_state(self, generator: torch.Generator) -> None:
        # A subclass fails in torch's argument parser.
        if type(generator) is not torch.Generator:
            raise TypeError(f"expected a Generator, but got {type(generator).__name__}")
        self.tape.known.add(generator._cdata)
        self.tape.known.update(state for state, handle in HANDLES.items() if handle is generator)

    def replay(self) -> None:
        self.tape.replay()


@contextmanager
def capture(graph: TapeGraph, pool: Any = None, capture_error_mode: str = "global") -> Iterator[None]:
    """Stands for `torch.cuda.graph`."""
    with graph.tape.recording():
        yield


@pytest.fixture
def graphs_on_tape(monkeypatch: pytest.MonkeyPatch) -> list[TapeGraph]:
    """CUDA graphs are tapes; the list has every one that is made."""
    TapeGraph.made = []
    monkeypatch.setattr(torch.cuda, "CUDAGraph", TapeGraph)
    monkeypatch.setattr(torch.cuda, "graph", capture)
    monkeypatch.setattr(Stream, "graphsafe_get_state", handle_of, raising=False)
    return TapeGraph.made
