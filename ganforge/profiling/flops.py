"""FLOPs of the operations that torch dispatches: two for each multiply-add.

Torch has such formulas (`torch.utils.flop_counter`), but its gradient of a convolution's weight ignores
`groups` and so counts `groups` times too much, and matrix-vector products are missing. The formulas here
take precedence, and can be passed to torch's own counter: `FlopCounterMode(custom_mapping=FORMULAS)`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

aten = torch.ops.aten
Shape = Sequence[int]
Formula = Callable[..., int]
"""The operation's arguments, with tensors replaced by their shapes, and `out_shape` -> FLOPs."""


def flops(operation: Any, args: Any, kwargs: Mapping[str, Any], result: Any) -> int:
    """For one call of an overload such as `torch.ops.aten.mm.default`; 0 if it has no formula, as for
    everything with about as many operations as elements."""
    formula = registry().get(operation.overloadpacket)
    return 0 if formula is None else int(formula(*args, **kwargs, out_val=result))


def _convolution(
    x: Shape,
    weight: Shape,
    bias: Shape | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    transposed: bool,
    *rest: Any,
    out_shape: Shape,
    **_: Any,
) -> int:
    # Each pixel of the smaller images meets each weight once: weight is [O, C / groups, ...] or, transposed,
    # [C, O / groups, ...], so the groups are accounted for.
    pixels = math.prod((x if transposed else out_shape)[2:])
    return 2 * x[0] * pixels * math.prod(weight)


def _convolution_backward(
    gradient: Shape,
    x: Shape,
    weight: Shape,
    bias: Shape | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    transposed: bool,
    output_padding: Any,
    groups: int,
    wanted: Sequence[bool],
    **_: Any,
) -> int:
    # Both gradients are sums over the same products of three indices as the value.
    value = _convolution(x, weight, bias, stride, padding, dilation, transposed, out_shape=gradient)
    return value * sum(map(bool, wanted[:2]))


def _matrix_vector(matrix: Shape, vector: Shape, **_: Any) -> int:
    return 2 * math.prod(matrix)


def _add_matrix_vector(added: Shape, matrix: Shape, vector: Shape, **_: Any) -> int:
    return 2 * math.prod(matrix)


FORMULAS: Mapping[Any, Formula] = {
    aten.convolution: _convolution,
    aten._convolution: _convolution,
    aten.convolution_backward: _convolution_backward,
    aten.mv: _matrix_vector,
    aten.addmv: _add_matrix_vector,
    aten.dot: _matrix_vector,
}
"""What torch counts wrongly or not at all."""


@functools.cache
def registry() -> Mapping[Any, Formula]:
    """Operation -> its formula: torch's, and `FORMULAS` in their place."""
    # Here, because it imports Triton's compiler.
    from torch.utils.flop_counter import flop_registry, shape_wrapper

    ours = {
        operation: shape_wrapper(formula)  # type: ignore[no-untyped-call]
        for operation, formula in FORMULAS.items()
    }
    return {**flop_registry, **ours}
