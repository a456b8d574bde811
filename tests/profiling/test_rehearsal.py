"""What `ganforge check` counts without numbers is what a run computes with them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ganforge.profiling.flops import flops
from ganforge.profiling.rehearsal import rehearse
from ganforge.training.build import plan
from support.replayed import KINDS, PENALIZED
from support.toys import toy_config, toy_loop


class Counter(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.flops = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        self.flops += flops(func, args, kwargs or {}, out)
        return out


STYLED: dict[str, Any] = {
    "nets": {"type": "stylegan2", "channel_max": 4, "w_dim": 4, "mapping_layers": 1},
    "terms": [{"type": "path_length", "every": 4}, {"type": "r1", "every": 2}],
}
COUNTED = {**KINDS, "bf16": {"train": {"precision": "bf16"}}, "styled": STYLED}


@pytest.mark.parametrize("kind", COUNTED)
def test_an_average_iteration_is_counted_as_it_is_played(tmp_path: Path, kind: str) -> None:
    config = toy_config(**{**COUNTED[kind], "health": {"policy": "off"}})
    loop, _ = toy_loop(tmp_path, config)
    # In these, each lazy term applies exactly in its share of the updates.
    iterations = math.lcm(2, *(getattr(term, "every", 1) for term in config.terms))
    with Counter() as counter:
        for _ in range(iterations):
            loop._iterate(False)
    agreed = plan(config)
    found = rehearse(agreed, agreed.networks("meta"), torch.device("cpu"))
    assert found.flops == pytest.approx(counter.flops / iterations, rel=1e-9)
    assert found.left_out == ()


@pytest.mark.parametrize(("sections", "term"), [(PENALIZED, "gradient_penalty"), (STYLED, "path_length")])
def test_a_lazy_term_costs_what_its_share_of_the_updates_says(sections: dict[str, Any], term: str) -> None:
    def count(*terms: dict[str, Any]) -> float:
        agreed = plan(toy_config(**{**sections, "terms": list(terms)}))
        return rehearse(agreed, agreed.networks("meta"), torch.device("cpu")).flops

    none = count()
    every, third = (count({"type": term, "every": each}) for each in (1, 3))
    assert 0 < none < third < every
    assert every - none == pytest.approx(3 * (third - none))
