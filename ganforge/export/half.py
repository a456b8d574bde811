"""Weights stored in 16 bits: half of the file, computed with in 32 bits as before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from onnx import ModelProto

SMALLEST = 1024
"""Weights of fewer numbers stay as they are: biases and scales."""


def halved(model: ModelProto) -> ModelProto:
    """A copy whose large float32 weights are float16, each followed by a cast to float32. A weight that
    float16 cannot hold (beyond 65504) stays as it is. The rounding is 2^-11 of each weight, relatively."""
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
        if values.size < SMALLEST or not np.isfinite(short).all():
            continue
        name = weight.name
        weight.CopyFrom(numpy_helper.from_array(short, f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    return copy
