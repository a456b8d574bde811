"""What killed builds leave in the cache, and what a killed training of a judge leaves."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

import pytest

from ganforge.api import UserError
from ganforge.api.cache import MAX_EMPTY_S, sweep, touch
from ganforge.evaluation.train_judge import refuse_existing


def test_files_that_nobody_writes_are_removed(tmp_path: Path) -> None:
    left, live, new, old = (tmp_path / f"k.npy{name}.tmp" for name in ("left", "live", "new", "old"))
    left.write_bytes(b"x")
    for empty in (new, old):
        empty.write_bytes(b"")
    long_ago = time.time() - MAX_EMPTY_S - 1
    os.utime(old, (long_ago, long_ago))
    (tmp_path / "k.npy").write_bytes(b"x")
    (tmp_path / "k.json").write_text("{}")
    with live.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(b"x")
        file.flush()
        touch(tmp_path / "k.npy")
        assert sorted(tmp_path.iterdir()) == sorted([tmp_path / "k.npy", tmp_path / "k.json", live, new])
    sweep(tmp_path)
    assert not live.exists()
    sweep(tmp_path / "none")


def test_a_judge_that_was_half_saved_is_no_obstacle(tmp_path: Path) -> None:
    folder = tmp_path / "judge"
    folder.mkdir()
    for name in (".weights.safetensors.tmp", "weights.safetensors", ".judge.json.tmp"):
        (folder / name).write_bytes(b"x")
        refuse_existing(folder)
    (folder / "judge.json").write_text("{}")
    with pytest.raises(UserError, match="already exists; choose another with --out"):
        refuse_existing(folder)
