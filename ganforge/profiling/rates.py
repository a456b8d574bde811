"""How fast this device computes, moves memory and launches operations: measured in well under a second.

All on random numbers: a processor that multiplies zeros or ones needs less power, and so clocks higher.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from ganforge.profiling.ledger import Ledger, Operation

SIDE = {"cpu": 512, "cuda": 4096}
"""Side of the measured matrix product; a smaller one does not fill a large GPU."""
SIZES = {"cpu": (2**14, 2**18, 2**21, 2**24), "cuda": (2**20, 2**24, 2**28)}
"""Bytes that the measured additions move: within each level of cache, and beyond."""
REPEATS = 3
OTHERS = 2**22
"""Bytes written between two measurements, to evict the caches: more than those of a core hold."""
STEPS = 30
"""Sizes of the small training step by which the launch of operations is timed."""
SLEEP = 2_000_000
"""Cycles for which a GPU waits while the operations to be timed are queued: about a millisecond."""


@dataclass(frozen=True)
class Rates:
    """Throughput of this device."""

    matrix: float
    """FLOP/s of a large matrix product."""
    memory: Sequence[tuple[int, float]]
    """Bytes moved, by rising size -> bytes/s of an addition."""
    launch_s: float
    """Seconds per operation in training, however small: Python, autograd, and torch's dispatch."""
    bare_s: float
    """The same without Python and autograd."""

    def roofline(self, operation: Operation) -> float:
        """Seconds of the operation itself, bound by compute or by memory."""
        return max(operation.flops / self.matrix, operation.bytes / self.bandwidth(operation.bytes))

    def bandwidth(self, size: int) -> float:
        """Bytes/s when `size` bytes are moved; interpolated in the logarithm of the size."""
        (low, slow), *rest = self.memory
        if size <= low:
            return slow
        for high, fast in rest:
            if size <= high:
                share = math.log(size / low) / math.log(high / low)
                return slow + share * (fast - slow)
            low, slow = high, fast
        return slow


def measure(device: torch.device, dtype: torch.dtype) -> Rates:
    """The rates of `device` for products of `dtype`."""
    side = SIDE[device.type]
    a, b = (torch.rand(side, side, device=device).to(dtype) for _ in range(2))
    matrix = 2 * side**3 / median_of(lambda: a @ b, device)
    x = torch.rand(8, device=device)
    bare = median_of(lambda: torch.add(x, x), device, 50)
    memory = [(size, _bandwidth(size, device)) for size in SIZES[device.type]]
    return Rates(matrix, memory, launch(device), bare)


def _bandwidth(size: int, device: torch.device) -> float:
    """Bytes/s of an addition that moves `size` bytes."""
    x, y = (torch.rand(size // 12, device=device) for _ in range(2))
    return size / median_of(lambda: torch.add(x, y), device, 5)


def launch(device: torch.device) -> float:
    """Host seconds per operation, from a training step in which none takes long."""
    blocks = [nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.LeakyReLU(0.2)) for _ in range(4)]
    network = nn.Sequential(*blocks).to(device)
    optimizer = torch.optim.Adam(network.parameters(), fused=True)
    x = torch.rand(4, 4, device=device)

    def step() -> None:
        loss = F.softplus(network(x)).mean() + F.softplus(-network(x)).mean()
        torch.autograd.backward(loss)
        optimizer.step()
        optimizer.zero_grad()

    step()
    with Ledger() as ledger:
        step()
    clock, spent = clock_of(torch.device("cpu")), []
    for _ in range(STEPS):
        start = clock()
        step()
        spent.append(clock() - start)
        synchronize(device)
    calls: float = sum(ledger.operations.values())
    return statistics.median(spent) / calls


def median_of(
    call: Callable[[], object], device: torch.device, repeats: int = REPEATS, cold: bool = False
) -> float:
    """Device seconds of `call`, after a warm-up: the median of `repeats`, or the mean on a GPU. With `cold`,
    a CPU's caches are evicted in between, as they are in an iteration."""
    call()
    if device.type == "cuda":
        return _of_gpu(call, repeats)
    clock, spent = clock_of(device), []
    others = torch.zeros(OTHERS // 4) if cold else None
    for _ in range(repeats):
        if others is not None:
            others.add_(1.0)
        start = clock()
        call()
        spent.append(clock() - start)
    return statistics.median(spent)


def clock_of(device: torch.device) -> Callable[[], float]:
    """Seconds on an otherwise idle machine: processor time of a single thread on a CPU. With several threads,
    or a GPU, waiting is part of the time, so wall-clock time."""
    alone = device.type == "cpu" and torch.get_num_threads() == 1
    return time.thread_time if alone else time.perf_counter


def _of_gpu(call: Callable[[], object], repeats: int) -> float:
    """The GPU's own seconds: it sleeps until everything is queued, so that it never waits for the host."""
    new: Callable[..., torch.cuda.Event] = torch.cuda.Event
    start, stop = new(enable_timing=True), new(enable_timing=True)
    torch.cuda._sleep(SLEEP)  # type: ignore[no-untyped-call]
    start.record()
    for _ in range(repeats):
        call()
    stop.record()
    stop.synchronize()
    return float(start.elapsed_time(stop)) / 1000 / repeats


def synchronize(device: torch.device) -> None:
    """Waits for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
