"""Random streams: a pure function of the seed and the purpose."""

from __future__ import annotations

import torch

from ganforge.engine.random import generator_for, stream_seed


def test_streams_differ_by_purpose_and_repeat() -> None:
    seeds = {
        stream_seed(seed, *purpose) for seed in (0, 1) for purpose in (("a", 1), ("a", 2), ("b", 1), ("a1",))
    }
    assert len(seeds) == 8
    assert all(0 <= seed < 2**63 for seed in seeds)
    draws = [torch.rand(3, generator=generator_for(5, "x")) for _ in range(2)]
    assert torch.equal(*draws)
