"""A ledger of what is computed and held while something runs, operation by operation."""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from ganforge.profiling.flops import flops

aten = torch.ops.aten
UNFILLED = frozenset(
    {aten.empty, aten.empty_like, aten.empty_strided, aten.new_empty, aten.new_empty_strided, aten.detach}
)
"""They move no memory."""
CONVOLUTIONS = frozenset({aten.convolution, aten.convolution_backward})


class Operation(NamedTuple):
    """A call; equal ones are counted together."""

    name: str
    """Such as "aten.mm.default"."""
    flops: int
    """FLOPs of products and convolutions; 0 for everything with about as many operations as elements."""
    bytes: int
    """Read and written, assuming each input is read once and each output is written once; 0 for views."""
    form: tuple[Any, ...]
    """Shapes of the tensors, in order, and for convolutions all other arguments."""


@dataclass(frozen=True)
class Like:
    """A tensor's shape, strides and type, without content."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: torch.dtype


class Call(NamedTuple):
    """How to repeat an operation."""

    function: Any
    args: Any
    kwargs: Any
    """Trees in which each tensor is a `Like`."""


class Ledger(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts operations, and the bytes of live tensors. For real and for fake tensors, and for derivatives of
    any order; views are operations without bytes."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations: Counter[Operation] = Counter()
        self.calls: dict[Operation, Call] = {}
        """The first call of each operation."""
        self.live = 0
        """Bytes of all storages seen here that are still alive."""
        self.peak = 0
        """Peak of `live`."""
        self._known: weakref.WeakSet[Any] = weakref.WeakSet()

    @property
    def flops(self) -> int:
        return sum(operation.flops * times for operation, times in self.operations.items())

    @property
    def bytes(self) -> int:
        """Bytes moved if no operation found its inputs in a cache."""
        return sum(operation.bytes * times for operation, times in self.operations.items())

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func.namespace == "prim":  # Queries a fake tensor's device: frequent, and no work.
            return args[0].fake_device
        result = func(*args, **kwargs)
        tensors = [leaf for leaf in tree_leaves((args, kwargs, result)) if isinstance(leaf, Tensor)]
        for tensor in tensors:
            self._meet(tensor)
        self.peak = max(self.peak, self.live)
        operation = _operation(func, args, kwargs, result, tensors)
        self.operations[operation] += 1
        if operation not in self.calls:
            self.calls[operation] = Call(func, *tree_map_only(Tensor, _like, (args, kwargs)))
        return result

    def _meet(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage not in self._known:
            self._known.add(storage)
            size = storage.nbytes()
            self.live += size
            weakref.finalize(storage, self._forget, size).atexit = False

    def _forget(self, size: int) -> None:
        self.live -= size


def _operation(
    func: Any, args: Any, kwargs: Mapping[str, Any], result: Any, tensors: list[Tensor]
) -> Operation:
    moved = 0 if func.is_view or func.overloadpacket in UNFILLED else sum(map(_size, tensors))
    arithmetic = flops(func, args, kwargs, result)
    form: tuple[Any, ...] = tuple(tuple(tensor.shape) for tensor in tensors)
    if func.overloadpacket in CONVOLUTIONS:
        form += tuple(repr(arg) for arg in args if not isinstance(arg, Tensor))
    return Operation(str(func), arithmetic, moved, form)


def _like(tensor: Tensor) -> Like:
    return Like(tuple(tensor.shape), tuple(tensor.stride()), tensor.dtype)


def _size(tensor: Tensor) -> int:
    """Bytes; for expanded tensors, only those that are stored."""
    return min(tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes())
