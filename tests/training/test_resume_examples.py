"""2N iterations = N, a stop, and N more: bit for bit, on the CPU, for every example."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from ganforge.components.registry import Registry, discover
from ganforge.engine.checkpoint import checkpoint
from ganforge.engine.distributed.stop_request import StopRequest
from support.paths import RUN_FILES
from support.records import numbers
from support.small_runs import open_loop, small
from support.stops import StopAfter
from support.toys import weights_of

N = 3


def content(tensor: Tensor) -> bytes:
    """Its bytes: a NaN is to be the same NaN, and -0.0 is not 0.0."""
    return tensor.detach().contiguous().view(-1).view(torch.uint8).numpy().tobytes()


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    yield discover()


@pytest.mark.parametrize("example", RUN_FILES, ids=lambda path: path.stem)
def test_a_stopped_run_goes_on_bit_for_bit(example: Path, tmp_path: Path, registry: Registry) -> None:
    config = small(example, tmp_path / "digits", registry, 2 * N)
    straight, straight_log = open_loop(config, tmp_path / "straight")
    assert straight.run(StopRequest())

    first, first_log = open_loop(config, tmp_path / "broken")
    assert not first.run(StopAfter(N))
    assert first.iteration == N
    second, second_log = open_loop(config, tmp_path / "broken")
    second.restore(*checkpoint.load_newest(tmp_path / "broken" / "checkpoints", second_log.say))
    assert second.run(StopRequest())

    expected, found = weights_of(straight), weights_of(second)
    assert expected.keys() == found.keys()
    assert [name for name in expected if content(expected[name]) != content(found[name])] == []
    rows = numbers(straight_log.rows)
    assert json.dumps(rows) == json.dumps(numbers(first_log.rows + second_log.rows))
    assert len(rows) == N + 1 + 2 * len(config.metrics)
    _, then = straight.state()
    _, now = second.state()
    for part in ("iteration", "players", "tally", "best", "owes_metrics"):
        # As a checkpoint holds it: JSON has no tuples.
        assert json.dumps(then[part]) == json.dumps(now[part])
