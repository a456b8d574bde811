"""What the machine could do at all: the arithmetic of an iteration over the rate of a plain product."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ganforge.profiling.flops import flops

SIDES = {"cpu": 2048, "cuda": 8192}
"""Of the measured product, by device; a smaller one does not fill a large GPU."""


class Cost(NamedTuple):
    flops: int
    bytes: int
    """Moved, if every operation read its inputs and wrote its outputs once."""


class Counter(TorchDispatchMode):
    """Sums the arithmetic of operations and the sizes of all that they read and write; views are free.

    Torch's own `FlopCounterMode` cannot follow a penalty that differentiates with respect to its input: it
    asks for the module.
    """

    def __init__(self) -> None:
        super().__init__()
        self.flops = self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if not func.is_view:
            tensors = [x for x in tree_leaves((args, kwargs, out)) if isinstance(x, Tensor)]
            self.bytes += sum(x.numel() * x.element_size() for x in tensors)
        self.flops += flops(func, args, kwargs, out)
        return out


def cost(iterate: Callable[[], object]) -> Cost:
    """Of one iteration. The counter knows products and convolutions, of any order of differentiation;
    what it leaves out is small compared with them."""
    with Counter() as counter:
        iterate()
    return Cost(counter.flops, counter.bytes)


def precision(device: torch.device, bf16: bool) -> str:
    """In which the convolutions of a run compute; torch lets them use TF32 where there is such."""
    if bf16:
        return "bf16"
    return "tf32" if device.type == "cuda" and torch.backends.cudnn.allow_tf32 else "float32"


def matrix_rate(device: torch.device, numbers: str, seconds: float = 0.5) -> float:
    """FLOP/s of a square product in that precision, the best of what fits into `seconds`."""
    side = SIDES[device.type]
    dtype = torch.bfloat16 if numbers == "bf16" else torch.float32
    # Random: a GPU multiplies ones faster, as fewer of its bits change.
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    allowed = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = numbers == "tf32"
    best, until = float("inf"), time.perf_counter() + seconds
    try:
        a @ b
        while best == float("inf") or time.perf_counter() < until:
            synchronize(device)
            start = time.perf_counter()
            a @ b
            synchronize(device)
            best = min(best, time.perf_counter() - start)
    finally:
        torch.backends.cuda.matmul.allow_tf32 = allowed
    return 2 * side**3 / best


def synchronize(device: torch.device) -> None:
    """Waits for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
