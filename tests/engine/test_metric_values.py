"""Metrics that fail: found before the first iteration, and later no end of the run."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

import pytest
import torch

from ganforge.api import Field, Metric, Sampler, Samples, UserError
from ganforge.components.faults import ComponentFault
from ganforge.engine.metric_values import TRIAL, measure, try_out
from support.toys import run, toy_config, toy_loop

asked: list[tuple[int, int]] = []
"""Samples generated, and real samples there are, in each computation."""


class Counting(Metric):
    """As most metrics: some generated samples, and some of the real ones."""

    type: Literal["counting"] = "counting"
    samples: int = Field(40, ge=1)
    real: int = Field(30, ge=1)
    least: int = Field(0)
    fails: bool = False

    def compute(self, sampler: Sampler, samples: Samples) -> dict[str, float]:
        if self.real > len(samples):
            raise UserError("too few real samples")
        if self.samples < self.least:
            raise UserError("too few samples")
        asked.append((len(sampler.sample(self.samples, 0)), self.real))
        if self.fails or (self.least < 0 and self.samples == TRIAL):
            raise ValueError("broken")
        return {"count": 1.0}


def tried(tmp_path: Path, **fields: Any) -> list[tuple[int, int]]:
    loop, _ = toy_loop(tmp_path, toy_config())
    asked.clear()
    try_out([Counting(type="counting", **fields)], loop.sampler, loop.samples)
    return list(asked)


def test_a_metric_is_tried_on_two_samples(tmp_path: Path) -> None:
    assert tried(tmp_path) == [(TRIAL, TRIAL)]
    assert tried(tmp_path, samples=1) == [(1, TRIAL)]


def test_a_metric_that_needs_more_is_no_fault(tmp_path: Path) -> None:
    assert tried(tmp_path, least=3) == []
    assert tried(tmp_path, least=-1) == [(TRIAL, TRIAL), (40, 30)]


def test_a_fault_is_found_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ComponentFault, match="metric 'counting' failed in compute: ValueError: broken"):
        tried(tmp_path, fails=True)
    with pytest.raises(UserError, match="too few real samples"):
        tried(tmp_path, real=1000)


def test_a_later_fault_is_a_warning_and_a_null(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    metric = {"type": "sliced_wasserstein", "every": 16, "samples": 4}
    loop, log = toy_loop(tmp_path, toy_config(metrics=[metric], train={"images": 48, "batch_size": 16}))

    def fail(self: Metric, sampler: Sampler, samples: Samples) -> dict[str, float]:
        if loop.images_seen == 32:
            raise ValueError("broken")
        return {"sliced_wasserstein": 1.0}

    monkeypatch.setattr(type(loop.config.metrics[0]), "compute", fail)
    assert run(loop)
    values = [row["metric/sliced_wasserstein"] for row in log.rows if "metric/sliced_wasserstein" in row]
    assert (values[0], values[2]) == (1.0, 1.0) and math.isnan(values[1])
    [line] = [line for line in log.lines if "null" in line]
    assert line.startswith("warning: metric/sliced_wasserstein is null here: metric 'sliced_wasserstein'")
    assert "ValueError: broken" in line


def test_other_metrics_are_still_measured(tmp_path: Path) -> None:
    loop, log = toy_loop(tmp_path, toy_config())
    metrics = [Counting(type="counting", fails=True), Counting(type="counting")]
    values = measure(metrics, loop.sampler, loop.samples, loop.pool)
    assert values is not None and values["count"] == 1.0 and math.isnan(values["counting"])
    assert len(log.lines) == 1
    assert torch.isfinite(torch.tensor(values["count"]))
