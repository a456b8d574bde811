"""Seconds of counted operations on this device.

The roofline (Williams, Waterman and Patterson 2009, "Roofline: an insightful visual performance model for
multicore architectures"): an operation is bound either by compute or by the memory that it moves. Few
kernels reach it. So the most expensive ones of an iteration are executed on random numbers, and their
slowdown relative to the roofline is applied to all operations of the same name.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from ganforge.profiling.ledger import CONVOLUTIONS, Call, Like, Operation
from ganforge.profiling.rates import Rates, clock_of, median_of

PART_S = 1e-3
"""A convolution on the CPU is measured on as many images as take about this long ..."""
MORE = 4
"""... and on this many times as many: a kernel first repacks the weights, whatever the batch size."""
LONGEST_S = 10e-3
"""Operations estimated to take longer are not measured."""
BUDGET_S = 0.7
"""Time limit for all measurements."""
REPEATS = 3


@dataclass(frozen=True)
class Times:
    """Of an iteration, in seconds."""

    device: float
    """Of the operations themselves."""
    host: float
    """To launch them all: Python, autograd, torch's dispatch."""

    def seconds(self, device: torch.device, graphs: bool) -> float:
        """A CPU does one after the other; a GPU computes while the host launches the next operations, or
        receives all at once as CUDA graphs (`graphs`)."""
        if device.type == "cpu":
            return self.device + self.host
        return self.device if graphs else max(self.device, self.host)


def times(
    operations: Mapping[Operation, float], calls: Mapping[Operation, Call], rates: Rates, device: torch.device
) -> Times:
    """Time of `operations`, by how often each is called; `calls` has an example of each."""
    slow = dict(_slowness(operations, calls, rates, device))
    of_name: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for operation, factor in slow.items():
        of_name[operation.name].append((rates.roofline(operation), factor))
    total = 0.0
    for operation, number in operations.items():
        seconds = rates.roofline(operation)
        factor = slow.get(operation) or _nearest(seconds, of_name[operation.name])
        total += number * seconds * factor
    return Times(total, rates.launch_s * sum(operations.values()))


def _nearest(seconds: float, known: list[tuple[float, float]]) -> float:
    """The slowdown of operations of similar duration by the roofline; 1 if none of that name was measured."""
    if not known or not seconds:
        return 1.0
    return min(known, key=lambda each: abs(math.log(each[0] / seconds)))[1]


def _slowness(
    operations: Mapping[Operation, float], calls: Mapping[Operation, Call], rates: Rates, device: torch.device
) -> Iterator[tuple[Operation, float]]:
    """Slowdown of the most expensive operations relative to the roofline, until `BUDGET_S` is over."""
    clock = clock_of(device)
    until = clock() + BUDGET_S
    heaviest = sorted(operations, key=lambda each: operations[each] * rates.roofline(each), reverse=True)
    for operation in heaviest:
        if clock() > until or not operation.bytes:
            return
        expected = rates.roofline(operation)
        if calls[operation].function.overloadpacket in CONVOLUTIONS and device.type == "cpu":
            seconds = _convolution(calls[operation], expected, device)
        elif expected < LONGEST_S:
            seconds = _done_again(calls[operation], device)
        else:
            seconds = None
        if seconds is not None:
            # Torch's dispatch is already included in the launch time.
            yield operation, max(seconds - rates.bare_s, 0.1 * expected) / expected


def _convolution(call: Call, expected: float, device: torch.device) -> float | None:
    """Seconds of a convolution or its gradients, extrapolated from some of its images if it takes long."""
    images: int = call.args[0].shape[0]
    few = max(1, round(images * PART_S / expected))
    if images <= MORE * few:
        return _done_again(call, device)
    short, long = (_done_again(_of_images(call, part), device) for part in (few, MORE * few))
    if short is None or long is None:
        return None
    return long + (images - MORE * few) * max(long - short, 0.0) / ((MORE - 1) * few)


def _of_images(call: Call, images: int) -> Call:
    """A convolution of the first of its images."""
    gradient = call.function.overloadpacket is torch.ops.aten.convolution_backward
    batches = [replace(each, shape=(images, *each.shape[1:])) for each in call.args[: 1 + gradient]]
    return call._replace(args=(*batches, *call.args[1 + gradient :]))


def _done_again(call: Call, device: torch.device) -> float | None:
    """Its seconds; None if it needs the run's own values."""
    try:
        args, kwargs = tree_map_only(Like, lambda like: _random(like, device), (call.args, call.kwargs))
        streams = tree_map_only(torch.Generator, lambda _: torch.Generator(device), kwargs)
        return median_of(lambda: call.function(*args, **streams), device, REPEATS, cold=True)
    except (RuntimeError, IndexError, TypeError, ValueError):
        return None


def _random(like: Like, device: torch.device) -> Tensor:
    """Numbers from U(0, 1), or zeros for integers, which may be indices into a tensor."""
    size = 0
    if 0 not in like.shape:
        size = 1 + sum((side - 1) * step for side, step in zip(like.shape, like.strides, strict=True))
    if like.dtype.is_floating_point:
        # A few of them repeated: random numbers take longer than most operations.
        some = torch.rand(min(size, 2**14), device=device).to(like.dtype)
        values = some.repeat(-(-size // max(1, len(some))))
    else:
        values = torch.zeros(size, dtype=like.dtype, device=device)
    return values.as_strided(like.shape, like.strides)
