"""What a CUDA graph does, on the CPU: operations noted with the tensors they read and write, and done
again in those. Python does not run in a replay, so whatever it decided is frozen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd.grad_mode import _unsafe_preserve_version_counter
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ganforge.api import Stream

READS = frozenset({"aten::_local_scalar_dense", "aten::is_nonzero", "aten::equal", "aten::nonzero"})
"""Operations that hand a value to Python, or a shape that depends on one: a capture refuses them."""

STATISTICS = frozenset({"running_mean", "running_var"})
"""Arguments that the kernels of BatchNorm change though their signatures do not show it."""


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


class Tape(TorchDispatchMode):
    """A recording. As in a capture, `recording` leaves no trace in any tensor that was there before."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[Any, Any, dict[str, Any], Any]] = []
        self.known: set[int] = set()
        """The generators that may be drawn from, by the address of their state; torch's own always may."""
        self._before: dict[int, tuple[Tensor, Tensor]] = {}
        self._own: set[int] = set()

    @contextmanager
    def recording(self) -> Iterator[None]:
        try:
            with self:
                yield
        finally:
            kept = tuple(tensor for tensor, _ in self._before.values())
            with torch.no_grad(), _unsafe_preserve_version_counter(kept):
                for tensor, value in self._before.values():
                    tensor.copy_(value)

    def replay(self) -> None:
        # Kernels know nothing of autograd's counters of changes.
        touched = {
            id(t): t for _, args, kwargs, out in self.operations for t in _tensors((args, kwargs, out))
        }
        with torch.no_grad(), _unsafe_preserve_version_counter(tuple(touched.values())):
            for func, args, kwargs, out in self.operations:
                again = func(*args, **kwargs)
                for old, new in zip(_tensors(out), _tensors(again), strict=True):
                    # A view, or an operation in place, has written where it should.
                    if old.data_ptr() != new.data_ptr():
                        old.copy_(new)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func._schema.name in READS:
            raise RuntimeError("operation not permitted when stream is capturing")
        for drawn in (leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Generator)):
            if drawn._cdata not in self.known:
                raise RuntimeError("a generator that is not registered with the graph is drawn from")
        given = dict(zip((a.name for a in func._schema.arguments), args, strict=False)) | kwargs
        for argument in func._schema.arguments:
            written = argument.alias_info is not None and argument.alias_info.is_write
            if written or argument.name in STATISTICS:
                for tensor in _tensors(given.get(argument.name)):
                    self._keep(tensor)
        out = func(*args, **kwargs)
        self.operations.append((func, args, kwargs, out))
        if not func.is_view and func._schema.name.rpartition("::")[2][-1] != "_":
            self._own.update(tensor.untyped_storage().data_ptr() for tensor in _tensors(out))
        return out

    def _keep(self, tensor: Tensor) -> None:
        place = tensor.untyped_storage().data_ptr()
        if place not in self._own and tensor.data_ptr() not in self._before:
            self._before[tensor.data_ptr()] = (tensor.detach(), tensor.detach().clone())


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]
