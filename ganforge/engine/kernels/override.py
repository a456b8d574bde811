"""Temporarily replaces torch's operations by ours, in unmodified networks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

Operation = Callable[..., Any]


class Replacing(TorchFunctionMode):
    """While it is active, the operations in `ours` replace the torch operations they are listed under,
    unless the graph is recorded in a way that ours do not support."""

    def __init__(self, ours: Mapping[Operation, Operation]) -> None:
        super().__init__()
        self.ours = ours

    def __torch_function__(
        self,
        func: Operation,
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        ours = self.ours.get(func)
        operation = func if ours is None or watched() else ours
        return operation(*args, **(kwargs or {}))


def watched() -> bool:
    """Whether saved tensors are packed, as by gradient checkpointing, which recomputes them by torch's
    operations; or a transform of `torch.func` or forward-mode differentiation is active; or
    `torch.compile` is tracing."""
    if torch.compiler.is_compiling():
        return True
    hooks = getattr(torch._C._autograd, "_top_saved_tensors_default_hooks", None)
    return (
        (hooks is not None and hooks(False) is not None)
        or torch._C._functorch.peek_interpreter_stack() is not None
        or torch.autograd.forward_ad._current_level >= 0
    )
