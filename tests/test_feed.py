"""Images that are read batch by batch give the very batches of those that lie on the device."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.settings import Settings
from benchmarks.streaming import measure
from ganforge.api import Samples, UserError
from ganforge.engine import Batches, StopRequest, feed, generator_for, residence
from ganforge.engine.batches import Batch
from ganforge.engine.residence import is_mapped, why_streamed
from ganforge_datasets.uint8_cache import cached
from support.records import numbers
from support.toys import toy_config, toy_loop, weights_of

CPU = torch.device("cpu")
COUNT = 23
"""Divides by no size of a batch in here."""
SHAPE = (COUNT, 3, 4, 4)
NAME = "read ahead"


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """Each ends by itself, with what it reads; none idles."""
    yield
    for thread in threading.enumerate():
        if thread.name == NAME:
            thread.join(timeout=30)
            assert not thread.is_alive()


@pytest.fixture
def mapped(tmp_path: Path) -> Tensor:
    pixels = np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8)
    return torch.from_numpy(cached(tmp_path, "k", SHAPE, "noise", lambda: [pixels], lambda line: None))


def both(images: Tensor, **settings: Any) -> tuple[Batches, Batches]:
    """Streamed, and resident from a copy in memory."""
    labels = torch.eye(len(images), dtype=torch.uint8)
    found = []
    for data, where in (("streamed", images), ("resident", images.clone())):
        samples = Samples(where, labels, settings.get("mirror", False))
        rest = {"batch_size": 6, "seed": 3} | {k: v for k, v in settings.items() if k != "mirror"}
        found.append(Batches(samples, device=CPU, data=data, **rest))  # type: ignore[arg-type]
    return found[0], found[1]


def same(one: Batch, other: Batch) -> bool:
    return all(
        a is b or (a is not None and b is not None and torch.equal(a, b))
        for a, b in zip(one, other, strict=True)
    )


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
    batches = Batches(Samples(points), 6, 0, CPU, data="streamed")
    first = batches.at(0).real
    kept = first.clone()
    for index in range(1, 9):
        assert torch.equal(batches.at(index).real, points[batches.indices(index)])
    assert torch.equal(first, kept), "nothing is read into a batch that was given out"


def test_images_that_are_not_contiguous(mapped: Tensor) -> None:
    turned = mapped.transpose(2, 3)
    streamed = Batches(Samples(turned), 6, 3, CPU, data="streamed")
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
    assert same(streamed.at(2), resident.at(2)), "it is read anew"


def test_resident_images_start_no_thread(mapped: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "_Reading", None)
    for images in (mapped, mapped.clone()):
        batches = Batches(Samples(images), 6, 0, CPU)
        assert batches.streams is None
        for index in range(3):
            batches.at(index)
    with pytest.raises(TypeError):
        Batches(Samples(mapped), 6, 0, CPU, data="streamed").at(0)


HANGS = """\
import time, torch
from ganforge.api import Samples
from ganforge.engine import Batches, feed

plain, calls = feed.gather, []
def gather(images, chosen, into):
    calls.append(0)
    plain(images, chosen, into) if len(calls) == 1 else time.sleep(3600)
feed.gather = gather
batches = Batches(Samples(torch.zeros(9, 3, 4, 4, dtype=torch.uint8)), 2, 0, torch.device("cpu"), data="streamed")
batches.at(0)
{end}
"""


@pytest.mark.parametrize(("end", "code"), [("", 0), ("1 / 0", 1)])
def test_a_disk_that_hangs_does_not_keep_the_process(end: str, code: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", HANGS.format(end=end)], check=False, timeout=120, capture_output=True
    )
    assert done.returncode == code


@pytest.mark.skipif(not residence.MAPS.exists(), reason="told by Linux alone")
def test_reading_dirties_no_page(mapped: Tensor, tmp_path: Path) -> None:
    streamed, _ = both(mapped, mirror=True)
    for index in range(9):
        streamed.at(index).real.zero_()
    report = Path("/proc/self/smaps").read_text().split("VmFlags")
    (mine,) = (part for part in report if str(tmp_path) in part)
    assert "Rss:                   0 kB" not in mine, "its pages were read"
    assert "\nAnonymous:             0 kB" in mine
    assert "\nPrivate_Dirty:         0 kB" in mine


@pytest.mark.skipif(not residence.MAPS.exists(), reason="told by Linux alone")
def test_a_map_is_told_from_memory(mapped: Tensor) -> None:
    assert is_mapped(mapped) and is_mapped(mapped[5:])
    assert not is_mapped(mapped.clone())
    assert not is_mapped(torch.zeros(2**22, dtype=torch.uint8))


@pytest.mark.skipif(not residence.MAPS.exists(), reason="told by Linux alone")
def test_auto_streams_a_map_that_is_too_large_for_the_memory(
    mapped: Tensor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(residence, "MEMINFO", tmp_path / "meminfo")
    size = mapped.numel()
    for free, streams in ((2 * size // 1024 + 1, False), (2 * size // 1024 - 1, True)):
        (tmp_path / "meminfo").write_text(f"MemTotal: 9 kB\nMemAvailable: {free} kB\n")
        assert bool(why_streamed(mapped, CPU, "auto")) == streams
        assert why_streamed(mapped.clone(), CPU, "auto") is None
        assert why_streamed(mapped, CPU, "resident") is None
        assert why_streamed(mapped.clone(), CPU, "streamed") is not None
    big = torch.zeros(1, dtype=torch.uint8).expand(3 * 2**30)
    monkeypatch.setattr(residence, "is_mapped", lambda images: True)
    (tmp_path / "meminfo").write_text(f"MemAvailable: {5 * 2**20} kB\n")
    assert why_streamed(big, CPU, "auto") == (
        "data: 3 GiB of images are streamed from their file: they are more than 50% of the 5 GiB of memory "
        "that are free"
    )
    assert why_streamed(big, CPU, "streamed") == (
        'data: 3 GiB of images are streamed, because train.data = "streamed"'
    )
    (tmp_path / "meminfo").unlink()
    assert why_streamed(big, CPU, "auto") is None, "where the system does not tell"


def test_where_images_live_with_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda, gib = torch.device("cuda"), 2**30
    images = torch.zeros(1, dtype=torch.uint8).expand(4 * gib)
    free = 10 * gib
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 99 * gib))
    assert why_streamed(images, cuda, "auto") is None
    assert why_streamed(images, cuda, "resident") is None
    assert why_streamed(images, cuda, "streamed") is not None
    free -= 1
    assert why_streamed(images, cuda, "auto") == (
        "data: 4 GiB of images are streamed: they are more than 40% of the 10 GiB that are free on the GPU"
    )
    free = 3 * gib
    with pytest.raises(UserError) as caught:
        why_streamed(images, cuda, "resident")
    assert str(caught.value) == (
        'train.data = "resident" wants 4 GiB of images on the GPU, of whose memory 3 GiB are free; use "auto" '
        'or "streamed"'
    )


def trained(folder: Path, data: str, stop_at: int | None = None) -> tuple[Any, Any]:
    train = {"data": data, "d_updates": 2, "images": 160, "batch_size": 8, "accumulate": 2}
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
    assert second.lines == ['data: 0.0271 MiB of images are streamed, because train.data = "streamed"']
    for source, data in (("resident", "streamed"), ("streamed", "resident"), ("streamed", "streamed")):
        partly, _ = trained(tmp_path / "half", source, stop_at=96)
        tensors, state = partly.state()
        kept = {group: {k: v.clone() for k, v in named.items()} for group, named in tensors.items()}
        onward, _ = trained(tmp_path / "other", data, stop_at=32)
        onward.restore(kept, state)
        onward.run(StopRequest())
        resumed = weights_of(onward)
        assert all(torch.equal(expected[name], resumed[name]) for name in expected), (source, data)


@pytest.mark.slow
@pytest.mark.skipif(not residence.MAPS.exists(), reason="told by Linux alone")
def test_a_streamed_run_holds_a_few_batches() -> None:
    images = 20_000
    size = images * 3 * 64**2 / 2**20
    held = {data: measure(data, images, Settings(64, "cpu")) for data in ("streamed", "resident")}
    assert held["resident"]["anonymous_mib"] > size
    assert held["streamed"]["anonymous_mib"] < size / 2
    assert all(found["build_anonymous_mib"] < size / 4 for found in held.values())


@pytest.mark.gpu
def test_pinned_buffers_are_not_overwritten_before_they_are_copied() -> None:
    device = torch.device("cuda")
    images = torch.randint(0, 256, (512, 3, 64, 64), dtype=torch.uint8)
    streamed, resident = (
        Batches(Samples(images), 256, 0, device, data=data) for data in ("streamed", "resident")
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
