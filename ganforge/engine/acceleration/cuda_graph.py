"""A CUDA graph as a recording of an update.

CUDA Graphs in PyTorch: the operations of a stream are captured instead of done, with the memory that
they use, which stays theirs. https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch


class CudaGraph:
    """One update, captured. The graphs of a run share a pool of memory, as they are never replayed
    side by side."""

    def __init__(self, streams: Sequence[torch.Generator], pool: Any) -> None:
        """`streams`: the random streams that are seeded before each replay; torch's own is known."""
        self._graph = torch.cuda.CUDAGraph()
        self._pool = pool
        for stream in streams:
            self._graph.register_generator_state(_handle(stream))

    def record(self, work: Callable[[], None]) -> None:
        # By thread: a checkpoint may be on its way to the disk in another one.
        with torch.cuda.graph(self._graph, pool=self._pool, capture_error_mode="thread_local"):
            work()

    def replay(self) -> None:
        self._graph.replay()


def _handle(stream: torch.Generator) -> torch.Generator:
    """The same state as an object of the exact type `torch.Generator`: registration refuses a subclass, such
    as `Stream`."""
    return stream if type(stream) is torch.Generator else stream.graphsafe_get_state()
