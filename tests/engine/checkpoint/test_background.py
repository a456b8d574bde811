"""Checkpoints are written in the background: of the past, one at a time, and with their errors told."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from ganforge.engine.checkpoint import checkpoint
from ganforge.engine.checkpoint.background import Saver, Snapshot
from ganforge.engine.distributed.stop_request import StopRequest
from support.toys import toy_config, toy_loop

ONE = {"g": {"a": torch.arange(4.0)}}


def state(images_seen: int) -> dict[str, Any]:
    return {"images_seen": images_seen}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_snapshot_does_not_follow_its_source_and_uses_its_buffers_again() -> None:
    weight = torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last)
    before = weight.clone()
    snapshot = Snapshot()
    taken = snapshot.take({"g": {"w": weight}})["g"]["w"]
    weight.zero_()
    assert torch.equal(taken, before) and taken.stride() == before.stride()
    again = snapshot.take({"g": {"w": weight}})["g"]["w"]
    assert again.data_ptr() == taken.data_ptr() and not again.any()
    assert snapshot.take({"g": {"w": torch.ones(5)}})["g"]["w"].tolist() == [1.0] * 5


class Gate:
    """Holds the writing thread until it is told to go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.entered, self.open = threading.Event(), threading.Event()
        self.error: Exception | None = None
        real = checkpoint.save

        def save(*arguments: Any) -> Path:
            self.entered.set()
            assert self.open.wait(30)
            if self.error is not None:
                raise self.error
            return real(*arguments)

        monkeypatch.setattr(checkpoint, "save", save)


def test_training_goes_on_while_a_checkpoint_of_the_past_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    weight = torch.ones(3)
    with Saver(tmp_path, keep=2) as saver:
        saver.save({"g": {"w": weight}}, state(10))
        assert gate.entered.wait(30)
        weight.zero_()
        assert names(tmp_path) == []
        gate.open.set()
    assert checkpoint.load(tmp_path / f"{10:012d}")[0]["g"]["w"].tolist() == [1.0] * 3


def test_a_run_goes_on_while_its_checkpoint_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    config = toy_config(train={"images": 8 * 6}, logging={"checkpoint_every": 8 * 2})
    loop, _ = toy_loop(tmp_path, config)
    waited: list[list[str]] = []
    iterate = loop._iterate

    def then_open(measure: bool) -> None:
        iterate(measure)
        if loop.iteration == 3:
            assert gate.entered.wait(30)
            waited.append(names(tmp_path))
            gate.open.set()

    monkeypatch.setattr(loop, "_iterate", then_open)
    assert loop.run(StopRequest())
    assert waited == [[]], "the third iteration ran before the checkpoint of the second was written"
    assert names(tmp_path)[-1] == f"{48:012d}"


def test_a_save_waits_for_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(monkeypatch)
    saver = Saver(tmp_path, keep=2)
    saver.save(ONE, state(10))
    second = threading.Thread(target=saver.save, args=(ONE, state(20)))
    second.start()
    second.join(0.2)
    assert second.is_alive() and names(tmp_path) == []
    gate.open.set()
    second.join()
    saver.wait()
    assert names(tmp_path) == [f"{10:012d}", f"{20:012d}"]


def test_an_error_of_the_writing_thread_is_raised_on_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    gate.error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "x")
    gate.open.set()
    saver = Saver(tmp_path, keep=2)
    saver.save(ONE, state(10))
    with pytest.raises(OSError, match="No space left"):
        saver.save(ONE, state(20))
    with pytest.raises(OSError, match="No space left"), saver:
        saver.save(ONE, state(30))
    gate.error = None
    with saver:
        saver.save(ONE, state(40))
    assert names(tmp_path) == [f"{40:012d}"]


def test_an_interrupt_does_not_wait_and_another_error_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    with pytest.raises(KeyboardInterrupt), Saver(tmp_path, keep=2) as saver:
        saver.save(ONE, state(10))
        raise KeyboardInterrupt
    assert names(tmp_path) == []
    gate.open.set()
    saver.wait()
    with pytest.raises(ValueError, match="mine"), Saver(tmp_path, keep=2) as saver:
        saver.save(ONE, state(20))
        raise ValueError("mine")
    assert names(tmp_path) == [f"{10:012d}", f"{20:012d}"]


def test_the_records_are_on_disk_before_the_checkpoint_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, folder = tmp_path / "metrics.jsonl", tmp_path / "checkpoints"
    record.write_text("{}\n")
    synced: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with Saver(folder, keep=1) as saver:
        saver.records = (record, tmp_path / "not there")
        saver.save(ONE, state(10))
    beside = f".{10:012d}.{os.getpid()}.tmp"
    assert synced == ["g.safetensors", "manifest.json", "metrics.jsonl", beside, "checkpoints"]
