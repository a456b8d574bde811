"""Weights in 16 bits: which are stored so, and how far the values move."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnx", reason="the extra [export] is not installed")


@pytest.mark.parametrize(
    ("scale", "count", "stored"),
    [(1.0, 2048, True), (1e-2, 2048, True), (1.0, 1000, False), (1e6, 2048, False), (1e-9, 2048, False)],
)
def test_a_weight_is_halved_where_that_only_rounds_it(scale: float, count: int, stored: bool) -> None:
    from onnx import TensorProto, helper, numpy_helper
    from onnx.reference import ReferenceEvaluator

    from ganforge.export.half import halved

    values = (np.random.default_rng(0).standard_normal(count) * scale).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [count])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [count])],
        [numpy_helper.from_array(values, "w")],
    )
    small = halved(helper.make_model(graph))
    assert (small.graph.initializer[0].data_type == TensorProto.FLOAT16) is stored
    (found,) = ReferenceEvaluator(small).run(None, {"x": np.zeros(count, np.float32)})
    assert np.abs(np.asarray(found, np.float32) - values).max() <= 2**-11 * np.abs(values).max() * stored
