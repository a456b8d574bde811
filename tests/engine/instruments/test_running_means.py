"""Running means."""

from __future__ import annotations

import torch

from ganforge.engine.instruments.running_means import RunningMeans


def test_a_tally_gives_means_and_starts_afresh() -> None:
    tally = RunningMeans()
    for value in (1.0, 2.0, 6.0):
        tally.add("a", torch.tensor(value, requires_grad=True))
    tally.add("b", torch.tensor(5.0))
    other = RunningMeans()
    other.restore(tally.state())
    assert tally.take() == other.take() == {"a": 3.0, "b": 5.0}
    assert tally.take() == {}
