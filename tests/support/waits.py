"""Catches what makes a host wait for its device: reading a tensor's content."""

from __future__ import annotations

import traceback
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

import ganforge
import ganforge_architectures
import ganforge_callbacks
import ganforge_losses
import ganforge_optimizers
import ganforge_priors
import ganforge_tasks

CODE = tuple(
    str(Path(module.__path__[0]))
    for module in (
        ganforge,
        ganforge_architectures,
        ganforge_callbacks,
        ganforge_losses,
        ganforge_optimizers,
        ganforge_priors,
        ganforge_tasks,
    )
)
"""Where the project's code lies: in the checkout, or among the installed packages."""

METHODS = {
    getattr(Tensor, name): name
    for name in ("item", "tolist", "cpu", "numpy", "nonzero", "__bool__", "__float__", "__int__", "__index__")
}
"""What Python code calls; on the CPU some of these never reach the dispatcher."""

OPERATORS = {
    torch.ops.aten._local_scalar_dense.default,
    torch.ops.aten.nonzero.default,
    torch.ops.aten.masked_select.default,
    torch.ops.aten.equal.default,
    torch.ops.aten._unique2.default,
}
"""What torch itself runs, also for C++ code that calls it."""


class Waits:
    """`with Waits() as waits: ...`; then `waits.found` has a line `file.py:12 item` for each."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._modes = (_Methods(self.found), _Operators(self.found))

    def __enter__(self) -> Self:
        for mode in self._modes:
            mode.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for mode in reversed(self._modes):
            mode.__exit__(kind, error, trace)


class _Methods(TorchFunctionMode):
    def __init__(self, found: list[str]) -> None:
        super().__init__()
        self.found = found

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in METHODS:
            self.found.append(f"{_place()} {METHODS[func]}")
        # A device that is a variable is, where this is tested, the CPU that the tensor is on already.
        if func is Tensor.to and any(isinstance(x, str) and x == "cpu" for x in args[1:]):
            self.found.append(f"{_place()} to('cpu')")
        return func(*args, **(kwargs or {}))


class _Operators(TorchDispatchMode):
    def __init__(self, found: list[str]) -> None:
        super().__init__()
        self.found = found

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        masked = func in (torch.ops.aten.index.Tensor, torch.ops.aten.index_put_.default) and any(
            isinstance(index, Tensor) and index.dtype in (torch.bool, torch.uint8) for index in args[1]
        )
        if func in OPERATORS or masked:
            self.found.append(f"{_place()} {func}")
        return func(*args, **(kwargs or {}))


def _place() -> str:
    """The innermost line of the project's code, such as `engine/update/game.py:12`; else torch's own."""
    frames = [frame for frame in traceback.extract_stack() if frame.filename != __file__]
    ours = [frame for frame in frames if frame.filename.startswith(CODE)]
    frame = ours[-1] if ours else frames[-1]
    file = Path(frame.filename)
    package = next((Path(folder) for folder in CODE if file.is_relative_to(folder)), file.parent.parent)
    return f"{file.relative_to(package)}:{frame.lineno}"
