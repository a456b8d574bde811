"""Scalars that are a share of what can be absent: the parts over the wholes, or nothing."""

from __future__ import annotations

import torch

from ganforge.engine.instruments.running_means import WHOLE, RunningMeans, shares


def logged(*updates: tuple[float, float]) -> dict[str, float]:
    means = RunningMeans()
    for part, whole in updates:
        means.add("estimate/x", torch.tensor(part))
        means.add(f"estimate/x{WHOLE}", torch.tensor(whole))
        means.add("loss", torch.tensor(0.0))
        means.flush()
    return shares(means.take())


def test_a_share_is_the_sum_of_the_parts_over_that_of_the_wholes() -> None:
    assert logged((1.0, 4.0), (0.0, 0.0), (2.0, 2.0)) == {"estimate/x": 0.5, "loss": 0.0}


def test_a_share_of_nothing_is_left_out() -> None:
    assert logged((0.0, 0.0), (0.0, 0.0)) == {"loss": 0.0}
