"""Batches are read ahead while others are used: each once, none in vain, and errors where they belong."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ganforge.api import Samples
from ganforge.engine.data import prefetch as feed
from ganforge.engine.data.batches import Batches
from support.streamed import CPU, both, same
from support.streamed import mapped as mapped
from support.streamed import no_thread_is_left as no_thread_is_left
from support.toys import toy_config, toy_loop


class Gathering:
    """Stands in for `gather`: keeps count, and can hold a read up or fail it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.read: list[list[int]] = []
        self.hold: list[int] | None = None
        self.fail: dict[tuple[int, ...], BaseException] = {}
        self.free = threading.Event()
        self._plain = feed.gather
        monkeypatch.setattr(feed, "gather", self)

    def __call__(self, images: Tensor, chosen: Tensor, into: Tensor) -> None:
        rows = chosen.tolist()
        self.read.append(rows)
        if rows == self.hold:
            self.free.wait(30)
        if tuple(rows) in self.fail:
            raise self.fail.pop(tuple(rows))
        self._plain(images, chosen, into)

    def wait_for(self, count: int) -> None:
        deadline = time.monotonic() + 30
        while len(self.read) < count and time.monotonic() < deadline:
            time.sleep(0.001)


@pytest.fixture
def gathering(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gathering]:
    found = Gathering(monkeypatch)
    yield found
    found.free.set()


def rows_of(batches: Batches, *indices: int) -> list[list[int]]:
    return sorted(batches.indices(index).tolist() for index in indices)


def test_the_next_two_are_read_while_this_one_is_used(mapped: Tensor, gathering: Gathering) -> None:
    streamed, _ = both(mapped)
    for index, known in enumerate((3, 4, 5)):
        streamed.at(index)
        gathering.wait_for(known)
        assert sorted(gathering.read) == rows_of(streamed, *range(known)), "each once"


def test_a_jump_drops_what_was_read_and_waits_for_none_of_it(mapped: Tensor, gathering: Gathering) -> None:
    streamed, resident = both(mapped)
    gathering.hold = streamed.indices(1).tolist()
    streamed.at(0)
    gathering.wait_for(3)
    assert same(streamed.at(7), resident.at(7))
    assert not gathering.free.is_set()
    gathering.wait_for(6)
    assert sorted(gathering.read[3:]) == rows_of(streamed, 7, 8, 9)
    gathering.free.set()
    for index in (8, 2, 9, 0, 1, 1, 3):
        assert same(streamed.at(index), resident.at(index))


def test_one_batch_may_be_left_out(mapped: Tensor, gathering: Gathering) -> None:
    streamed, resident = both(mapped)
    streamed.at(0)
    assert same(streamed.at(2), resident.at(2))
    gathering.wait_for(5)
    assert sorted(gathering.read) == rows_of(streamed, 0, 1, 2, 3, 4), "what was read is not read again"


@pytest.mark.parametrize("train", [{}, {"d_updates": 2, "accumulate": 2}, {"g_updates": 2}], ids=str)
def test_a_run_reads_each_batch_once_and_in_advance(
    tmp_path: Path, train: dict[str, int], gathering: Gathering
) -> None:
    loop, _ = toy_loop(tmp_path, toy_config(train={"placement": "streamed", **train}))
    batches, iterations = loop.batches, 3
    used = iterations * train.get("d_updates", 1)
    for _ in range(iterations):
        loop._iterate(False)
    gathering.wait_for(used + feed.DEPTH)
    assert sorted(gathering.read) == rows_of(batches, *range(used + feed.DEPTH))


def test_buffers_for_a_gpu_are_pinned_and_copied_without_waiting(
    mapped: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As asked of torch, where there is no GPU to copy to."""
    asked: list[dict[str, Any]] = []
    empty = torch.empty

    def noted(*shape: Any, **options: Any) -> Tensor:
        asked.append(options)
        return empty(*shape, **{**options, "pin_memory": False})

    def to(self: Tensor, *args: Any, **options: Any) -> Tensor:
        asked.append({"to": args, **options})
        return self

    monkeypatch.setattr(feed.torch, "empty", noted)
    monkeypatch.setattr(Tensor, "to", to)
    cuda = torch.device("cuda")
    got = feed.Streamed(mapped, cuda).rows(0, lambda index: torch.tensor([index]))
    monkeypatch.undo()
    assert torch.equal(got, mapped[:1])
    assert [each["pin_memory"] for each in asked[:-1]] == [True] * (1 + feed.DEPTH)
    assert asked[-1] == {"to": (cuda,), "non_blocking": True}


def test_another_seed_drops_what_was_read(mapped: Tensor) -> None:
    streamed, resident = both(mapped)
    streamed.at(0)
    before = resident.at(1)
    for each in (streamed, resident):
        each.reseed(77)
    got = streamed.at(1)
    assert same(got, resident.at(1)) and not same(got, before)


def test_an_error_surfaces_as_itself_when_its_batch_is_asked_for(
    mapped: Tensor, gathering: Gathering
) -> None:
    streamed, resident = both(mapped)
    error = OSError(5, "Input/output error")
    gathering.fail[tuple(streamed.indices(2).tolist())] = error
    for index in (0, 1):
        assert same(streamed.at(index), resident.at(index))
    with pytest.raises(OSError) as caught:
        streamed.at(2)
    assert caught.value is error
    assert same(streamed.at(2), resident.at(2)), "it is read again"


def test_resident_images_start_no_thread(mapped: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "_Reading", None)
    for images in (mapped, mapped.clone()):
        batches = Batches(Samples(images), 6, 0, CPU)
        assert batches.streams is None
        for index in range(3):
            batches.at(index)
    with pytest.raises(TypeError):
        Batches(Samples(mapped), 6, 0, CPU, placement="streamed").at(0)


HANGS = """\
import time, torch
from ganforge.api import Samples
from ganforge.engine.data import prefetch
from ganforge.engine.data.batches import Batches

plain, calls = prefetch.gather, []
def gather(images, chosen, into):
    calls.append(0)
    plain(images, chosen, into) if len(calls) == 1 else time.sleep(3600)
prefetch.gather = gather
batches = Batches(Samples(torch.zeros(9, 3, 4, 4, dtype=torch.uint8)), 2, 0, torch.device("cpu"), placement="streamed")
batches.at(0)
{end}
"""


@pytest.mark.parametrize(("end", "code"), [("", 0), ("1 / 0", 1)])
def test_a_disk_that_hangs_does_not_keep_the_process(end: str, code: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", HANGS.format(end=end)], check=False, timeout=120, capture_output=True
    )
    assert done.returncode == code


@pytest.mark.gpu
def test_pinned_buffers_are_not_overwritten_before_they_are_copied() -> None:
    device = torch.device("cuda")
    images = torch.randint(0, 256, (512, 3, 64, 64), dtype=torch.uint8)
    streamed, resident = (
        Batches(Samples(images), 256, 0, device, placement=data) for data in ("streamed", "resident")
    )  # type: ignore[arg-type]
    slow = torch.randn(4096, 4096, device=device)
    got = []
    for index in range(20):
        for _ in range(20):
            slow = slow @ slow
        # The host is far ahead of the device by now.
        got.append(streamed.at(index).real.sum((1, 2, 3)))
    for index, sums in enumerate(got):
        assert torch.equal(sums, resident.at(index).real.sum((1, 2, 3)))
