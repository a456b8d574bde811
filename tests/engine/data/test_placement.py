"""Where images live, and that those which are streamed take no memory."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks.settings import Settings
from benchmarks.streaming import measure
from ganforge.api import UserError
from ganforge.engine.data import placement as residence
from ganforge.engine.data.placement import is_mapped, why_streamed
from support.streamed import CPU, both
from support.streamed import mapped as mapped
from support.streamed import no_thread_is_left as no_thread_is_left


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
        "data: 3 GiB of images are streamed from their file: they exceed 50% of the 5 GiB of free memory"
    )
    assert why_streamed(big, CPU, "streamed") == (
        'data: 3 GiB of images are streamed, because train.placement = "streamed"'
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
        "data: 4 GiB of images are streamed: they exceed 40% of the 10 GiB of free GPU memory"
    )
    free = 3 * gib
    with pytest.raises(UserError) as caught:
        why_streamed(images, cuda, "resident")
    assert str(caught.value) == (
        'train.placement = "resident" needs 4 GiB of GPU memory for the images, but only 3 GiB are free; use '
        '"auto" or "streamed"'
    )


@pytest.mark.slow
@pytest.mark.skipif(not residence.MAPS.exists(), reason="told by Linux alone")
def test_a_streamed_run_holds_a_few_batches() -> None:
    images = 20_000
    size = images * 3 * 64**2 / 2**20
    held = {data: measure(data, images, Settings(64, "cpu")) for data in ("streamed", "resident")}
    assert held["resident"]["anonymous_mib"] > size
    assert held["streamed"]["anonymous_mib"] < size / 2
    assert all(found["build_anonymous_mib"] < size / 4 for found in held.values())
