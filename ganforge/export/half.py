"""Weights stored in 16 bits: half of the file, computed with in 32 bits as before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from onnx import ModelProto

SMALLEST = 1024
"""Weights of fewer numbers stay as they are: biases and scales."""
RELATIVE = 2.0**-11
"""Half of float16's distance from 1 to the next number."""


def halved(model: ModelProto) -> ModelProto:
    """A copy whose large float32 weights are float16, each followed by a cast to float32. The rounding is at
    most 2^-11 of the largest weight of a tensor; one that float16 cannot hold so (beyond 65504, or all below
    2^-14) stays as it is."""
    from onnx import ModelProto, TensorProto, helper, numpy_helper

    copy = ModelProto()
    copy.CopyFrom(model)
    graph = copy.graph
    casts = []
    for weight in graph.initializer:
        if weight.data_type != TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(weight)
        with np.errstate(over="ignore"):
            short = values.astype(np.float16)
        if values.size < SMALLEST or not _is_close(short, values):
            continue
        name = weight.name
        weight.CopyFrom(numpy_helper.from_array(short, f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    return copy


def _is_close(short: NDArray[np.float16], values: NDArray[np.float32]) -> bool:
    worst = np.abs(short.astype(np.float32) - values).max()
    return bool(worst <= RELATIVE * np.abs(values).max())
