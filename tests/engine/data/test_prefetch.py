"""Images that are read batch by batch give the very batches of those that lie on the device."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ganforge.api import Samples
from ganforge.engine.data.batches import Batches
from ganforge.engine.distributed.stop_request import StopRequest
from ganforge.engine.random import generator_for
from support.records import numbers
from support.streamed import COUNT, CPU, both, same
from support.streamed import mapped as mapped
from support.streamed import no_thread_is_left as no_thread_is_left
from support.toys import toy_config, toy_loop, weights_of


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"mirror": True},
        {"batch_size": 60},
        {"world": 2, "rank": 1, "mirror": True},
        {"batch_size": 12, "world": 2, "rank": 0, "accumulate": 3},
    ],
    ids=str,
)
def test_streamed_is_resident_bit_for_bit(mapped: Tensor, settings: dict[str, Any]) -> None:
    streamed, resident = both(mapped, **settings)
    assert streamed.streams and resident.streams is None
    for index in range(13):
        got = streamed.at(index)
        assert got.cond is not None and same(got, resident.at(index))
        chosen = streamed.indices(index)
        assert torch.equal(got.cond.argmax(1), chosen)
        if not settings.get("mirror"):
            assert torch.equal(got.real, mapped[chosen].double().div(127.5).float() - 1)


def test_points_are_streamed_as_they_are() -> None:
    points = torch.randn(COUNT, 2)
    batches = Batches(Samples(points), 6, 0, CPU, placement="streamed")
    first = batches.at(0).real
    kept = first.clone()
    for index in range(1, 9):
        assert torch.equal(batches.at(index).real, points[batches.indices(index)])
    assert torch.equal(first, kept), "nothing is read into a batch that was given out"


def test_images_that_are_not_contiguous(mapped: Tensor) -> None:
    turned = mapped.transpose(2, 3)
    streamed = Batches(Samples(turned), 6, 3, CPU, placement="streamed")
    got, chosen = streamed.at(1).real, streamed.indices(1)
    assert torch.equal(got, turned[chosen].float() / 127.5 - 1)


@pytest.mark.parametrize(("total", "batch"), [(23, 6), (7, 7), (5, 16), (12, 3), (1, 4)])
def test_the_sequence_is_that_of_the_epochs(total: int, batch: int) -> None:
    epochs = 3 + 4 * batch // total
    orders = [torch.randperm(total, generator=generator_for(9, "epoch", epoch)) for epoch in range(epochs)]
    expected = torch.cat(orders)
    for world in (1, 2) if batch % 2 == 0 else (1,):
        batches = Batches(Samples(torch.zeros(total, 1, 1, 1)), batch, 9, CPU, world - 1, world)
        for index in (0, 1, 3, 0, 2):
            whole = expected[index * batch : (index + 1) * batch]
            mine = whole.view(world, -1)[world - 1]
            assert torch.equal(batches.indices(index), mine)


def trained(folder: Path, data: str, stop_at: int | None = None) -> tuple[Any, Any]:
    train = {"placement": data, "d_updates": 2, "images": 160, "batch_size": 8, "accumulate": 2}
    config = toy_config(
        data={"type": "squares", "mirror": True, "count": 37},
        train=train,
        logging={"every": 32, "checkpoint_every": 32, "keep_checkpoints": 9},
    )
    loop, recorder = toy_loop(folder, config)
    if stop_at is not None:
        while loop.images_seen < stop_at:
            loop._iterate(False)
        return loop, recorder
    loop.run(StopRequest())
    return loop, recorder


def test_a_run_is_the_same_streamed_and_goes_on_the_same(tmp_path: Path) -> None:
    resident, first = trained(tmp_path / "resident", "resident")
    streamed, second = trained(tmp_path / "streamed", "streamed")
    expected, found = weights_of(resident), weights_of(streamed)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert numbers(first.rows) == numbers(second.rows)
    assert first.lines == []
    assert second.lines == ['data: 0.0271 MiB of images are streamed, because train.placement = "streamed"']
    for source, data in (("resident", "streamed"), ("streamed", "resident"), ("streamed", "streamed")):
        partly, _ = trained(tmp_path / "half", source, stop_at=96)
        tensors, state = partly.state()
        kept = {group: {k: v.clone() for k, v in named.items()} for group, named in tensors.items()}
        onward, _ = trained(tmp_path / "other", data, stop_at=32)
        onward.restore(kept, state)
        onward.run(StopRequest())
        resumed = weights_of(onward)
        assert all(torch.equal(expected[name], resumed[name]) for name in expected), (source, data)
