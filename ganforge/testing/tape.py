"""What a CUDA graph does, on the CPU: operations are recorded with the tensors they read and write, and
executed again on those. Python does not run in a replay, so whatever it decided is frozen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.autograd.grad_mode import _unsafe_preserve_version_counter
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

READS = frozenset({"aten::_local_scalar_dense", "aten::is_nonzero", "aten::equal", "aten::nonzero"})
"""Operations that hand a value to Python, or a shape that depends on one: a capture refuses them."""

STATISTICS = frozenset({"running_mean", "running_var"})
"""Arguments that the kernels of BatchNorm change though their signatures do not show it."""


class TapeRecording:
    """An update recorded on a tape, in place of a CUDA graph."""

    def __init__(self, streams: Sequence[torch.Generator]) -> None:
        """`streams`: the generators that are seeded before each replay."""
        self.tape = Tape()
        self.tape.known.update(_address(stream) for stream in streams)

    def record(self, work: Callable[[], None]) -> None:
        with self.tape.recording():
            work()

    def replay(self) -> None:
        self.tape.replay()


class Tape(TorchDispatchMode):
    """A recording. As in a capture, `recording` leaves no trace in any tensor that was there before."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations: list[tuple[Any, Any, dict[str, Any], Any]] = []
        self.known: set[int] = set()
        """The generators that may be drawn from, by the address of their state; torch's own always may."""
        self._before: dict[tuple[object, ...], tuple[Tensor, Tensor]] = {}
        self._own: set[int] = set()

    @contextmanager
    def recording(self) -> Iterator[None]:
        try:
            with self:
                yield
        finally:
            kept = tuple(tensor for tensor, _ in self._before.values())
            with torch.no_grad(), _unsafe_preserve_version_counter(kept):
                # The last first: of two views that overlap, the later copy has the change of the earlier one.
                for tensor, value in reversed(self._before.values()):
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
            if _address(drawn) not in self.known:
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
        view = (tensor.data_ptr(), tensor.dtype, *tensor.shape, *tensor.stride())
        if place not in self._own and view not in self._before:
            self._before[view] = (tensor.detach(), tensor.detach().clone())


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def _address(generator: torch.Generator) -> int:
    """Of its state."""
    address: int = generator._cdata  # type: ignore[attr-defined]
    return address
