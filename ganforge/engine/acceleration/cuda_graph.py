"""A CUDA graph as a recording of an update.

CUDA Graphs in PyTorch: the operations of a stream are captured instead of executed, together with the
memory they use. https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch


class CudaGraph:
    """One captured update. The graphs of a run share a memory pool, since they are never replayed
    concurrently."""

    def __init__(self, streams: Sequence[torch.Generator], pool: Any) -> None:
        """`streams`: the generators that are seeded before each replay; torch's default one is known."""
        self._graph = torch.cuda.CUDAGraph()
        self._pool = pool
        for stream in streams:
            self._graph.register_generator_state(_handle(stream))

    def record(self, work: Callable[[], None]) -> None:
        # Thread-local: another thread may be copying a checkpoint at the same time.
        with torch.cuda.graph(self._graph, pool=self._pool, capture_error_mode="thread_local"):
            work()

    def replay(self) -> None:
        self._graph.replay()


def _handle(stream: torch.Generator) -> torch.Generator:
    """The same state as an object of the exact type `torch.Generator`: registration rejects subclasses
    such as `Stream`."""
    return stream if type(stream) is torch.Generator else stream.graphsafe_get_state()
