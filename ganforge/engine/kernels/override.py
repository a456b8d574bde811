"""Torch's operations replaced by ours for a while, in networks that know nothing of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

Operation = Callable[..., Any]


class Replacing(TorchFunctionMode):
    """While it is active, `ours` stand for the operations of torch that they are listed under; not where
    a graph is recorded in a way for which ours are not made."""

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
    """Whether saved tensors are packed away, as gradient checkpointing does it, which computes them
    anew by torch's operations; or a transform of `torch.func` or forward differentiation is under way; or
    `torch.compile` reads along."""
    if torch.compiler.is_compiling():
        return True
    hooks = getattr(torch._C._autograd, "_top_saved_tensors_default_hooks", None)
    return (
        (hooks is not None and hooks(False) is not None)
        or torch._C._functorch.peek_interpreter_stack() is not None
        or torch.autograd.forward_ad._current_level >= 0
    )
