"""Full and read-only disks: one message, exit code 2, nothing half-made, and no checkpoint harmed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.command_line import EXAMPLE, TINY, call, contents, refused, sets
from support.trained import trained as trained


def with_cache(trained: Path, place: Path) -> Path:
    shutil.copytree(trained / ".cache", place / ".cache")
    return place


def full(*arguments: object) -> None:
    raise OSError(28, os.strerror(28))


def test_a_disk_too_full_for_a_run_folder(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_cache(trained, tmp_path)
    monkeypatch.setattr(os, "fsync", full)
    assert refused(tmp_path, "run", EXAMPLE, "--out", "runs/mine", *sets(*TINY))[-1] == (
        f"cannot create run folder runs/mine in {tmp_path / 'runs'}: No space left on device; "
        "choose another with --out"
    )


def test_a_disk_that_fills_during_training(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = shutil.copytree(trained / "mine", with_cache(trained, tmp_path) / "mine")
    before = contents(run / "checkpoints")

    def filling(descriptor: int) -> None:
        if any((run / "checkpoints").glob(f".{96:012d}.*")):
            full()

    monkeypatch.setattr(os, "fsync", filling)
    done = call(tmp_path, "resume", "mine", *sets("train.images=96"))
    assert (done.code, done.out) == (2, "")
    assert done.err.splitlines()[-2].endswith("the disk is full")
    assert done.err.splitlines()[-1] == "the checkpoints are intact; to continue:  ganforge resume mine"
    assert contents(run / "checkpoints") == before


def mounted(*arguments: str) -> bool:
    done = subprocess.run(["mount", *arguments], capture_output=True, check=False)
    return done.returncode == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mounts a disk of the given size; skips where that is not allowed."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root may mount a disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    made = False

    def make(size: str) -> Path:
        nonlocal made
        made = mounted("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk))
        if not made:
            pytest.skip("no disk can be mounted here")
        return disk

    yield make
    if made:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_real_disk_too_full_for_a_run_folder(
    trained: Path, tmp_path: Path, small_disk: Callable[[str], Path]
) -> None:
    with_cache(trained, tmp_path)
    small_disk("4k")
    assert refused(tmp_path, "run", EXAMPLE, "--out", "disk/runs/mine", *sets(*TINY))[-1] == (
        f"cannot create run folder disk/runs/mine in {tmp_path / 'disk' / 'runs'}: No space left on device; "
        "choose another with --out"
    )


@pytest.mark.parametrize("left", [4096, 65_536])
def test_a_real_disk_that_fills_during_training(
    trained: Path, tmp_path: Path, small_disk: Callable[[str], Path], left: int
) -> None:
    """With little left, a small file fails; with more, a checkpoint."""
    disk = small_disk("16m")
    run = shutil.copytree(trained / "mine", disk / "mine")
    with_cache(trained, tmp_path)
    before = contents(run / "checkpoints")
    space = os.statvfs(disk)
    (disk / "ballast").write_bytes(bytes(space.f_bavail * space.f_bsize - left))
    longer = ("resume", "disk/mine", *sets("train.images=96"))
    done = call(tmp_path, *longer)
    assert (done.code, done.out) == (2, "")
    assert "the disk is full" in done.err or "No space left on device" in done.err
    assert contents(run / "checkpoints") == before
    (disk / "ballast").unlink()
    assert call(tmp_path, *longer).code == 0
    assert (run / "checkpoints" / f"{96:012d}").is_dir()


def test_a_disk_that_may_not_be_written(
    trained: Path, tmp_path: Path, small_disk: Callable[[str], Path]
) -> None:
    disk = small_disk("1m")
    with_cache(trained, tmp_path)
    if not mounted("-o", "remount,ro", str(disk)):
        pytest.skip("the disk cannot be made read-only")
    assert refused(tmp_path, "run", EXAMPLE, "--out", "disk/mine", *sets(*TINY))[-1] == (
        f"cannot create run folder disk/mine in {disk}: Read-only file system; choose another with --out"
    )


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (FileNotFoundError(2, "No such file or directory", "r/metrics.jsonl"), "r/metrics.jsonl: no such file or folder"),
        (OSError(5, "Input/output error", "r/run.json"), "r/run.json: the disk or the network file system failed (input/output error)"),
        (OSError(116, "Stale file handle", "r/run.json"), "r/run.json: the network file system no longer knows this file"),
        (OSError(24, "Too many open files"), "too many open files; raise the limit with 'ulimit -n'"),
        (OSError(71, "Protocol error", "x"), "x: Protocol error"),
        (MemoryError(), "out of memory; a smaller train.batch_size, or a larger train.accumulate, needs less, and 'ganforge check' estimates how much"),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), "out of memory; a smaller train.batch_size, or a larger train.accumulate, needs less, and 'ganforge check' estimates how much"),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_faults_of_the_machine_are_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, message: str
) -> None:
    def fail(*arguments: object) -> None:
        raise error

    monkeypatch.setattr("ganforge.components.registry.discover", fail)
    done = call(tmp_path, "plugins")
    assert (done.code, done.err) == (2, f"{message}\n")
