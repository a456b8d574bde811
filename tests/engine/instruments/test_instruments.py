"""What every run measures of itself: in its log, in its curves, and in its picture of the plane."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ganforge.api import Verdict
from ganforge.engine.distributed.stop_request import StopRequest
from ganforge.engine.sampling.grids import MESH, backdrop
from ganforge.outputs.charts import label
from ganforge.outputs.plots import draw_charts
from support.toys import Recorder, toy_config, toy_loop

MLP = {"type": "mlp", "g_hidden": [8], "d_hidden": [8]}
CODES = {"type": "codes", "dim": 4, "categorical": [3], "continuous": 1}
EVERY_RUN = {
    *("loss/d", "loss/g", "adversarial/d", "adversarial/g", "grad/d", "grad/g"),
    *("score/real", "score/fake", "score/fake_before_g", "score/fake_after_g"),
}
METHODS: dict[str, tuple[dict[str, Any], set[str]]] = {
    "bce": ({"loss": {"type": "bce"}}, {"estimate/jensen_shannon"}),
    "wasserstein": ({"loss": {"type": "wasserstein"}}, {"estimate/wasserstein"}),
    "r1 and r2": ({"terms": [{"type": "r1"}, {"type": "r2"}]}, {"term/d/r1", "term/d/r2"}),
    "infogan": (
        {"prior": CODES, "terms": [{"type": "mutual_information"}]},
        {
            *("term/d/mutual_information", "term/g/mutual_information"),
            *("estimate/mutual_information_c1", "estimate/mutual_information_c2"),
        },
    ),
    "acgan": (
        {"terms": [{"type": "auxiliary_classifier"}]},
        {
            *("term/d/auxiliary_classifier", "term/g/auxiliary_classifier"),
            *("estimate/class_accuracy_real", "estimate/class_accuracy_fake"),
        },
    ),
}


def run(folder: Path, **sections: Any) -> Recorder:
    loop, log = toy_loop(folder, toy_config(**{"nets": MLP, "train": {"images": 32}, **sections}))
    assert loop.run(StopRequest())
    return log


@pytest.mark.parametrize("method", METHODS)
def test_the_log_holds_the_methods_own_instruments_and_each_is_drawn(tmp_path: Path, method: str) -> None:
    sections, own = METHODS[method]
    rows = run(tmp_path, **sections).rows
    assert rows[-1].keys() >= EVERY_RUN | own
    drawn = {chart.name: figure for chart, figure in draw_charts(rows)}
    told = [
        line.get_label() for figure in drawn.values() for axes in figure.axes for line in axes.get_lines()
    ]
    assert {"losses", "scores", "gradient_norms"} <= drawn.keys()
    assert {"D(x)", "D(G(z)) before G's update", "D(G(z)) after G's update"} <= set(told)
    assert {label(key) for key in own} <= set(told)
    if method == "infogan":
        assert all(row["estimate/mutual_information_c1"] <= math.log(3) for row in rows)


class Slope(nn.Module):
    """A critic whose logit is x + 10 y."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0, 10.0]))

    def forward(self, x: Tensor, cond: Tensor | None) -> Verdict:
        return Verdict(x @ self.weight)


def test_the_critic_is_asked_row_by_row_from_the_bottom_left() -> None:
    data = torch.tensor([[0.5, -2.0], [1.0, 1.0], [9.0, 9.0]])
    found = backdrop(Slope(), data, 2)
    assert found.extent == 2.5
    assert torch.equal(found.real, data[:2])
    steps = [-2.5 + 5 * step / (MESH - 1) for step in range(MESH)]
    for row, column in [(0, 0), (0, MESH - 1), (MESH - 1, 0), (7, 20)]:
        expected = steps[column] + 10 * steps[row]
        assert found.logits[row, column].item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("labelled", [False, True])
def test_points_lie_over_the_data_where_the_critic_needs_no_label(tmp_path: Path, labelled: bool) -> None:
    data = {"type": "toy2d", "count": 64, "labelled": labelled}
    log = run(tmp_path, data=data, logging={"grid_every": 16, "grid_samples": 20})
    backdrops = [grid.backdrop for _, grid in log.grids if grid.name == "samples"]
    assert len(backdrops) == 3
    assert [found is None for found in backdrops] == [labelled] * 3
