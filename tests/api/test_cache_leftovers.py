"""What killed builds leave in the cache, and what a killed training of a judge leaves."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

import pytest

from ganforge.api import UserError
from ganforge.api.cache import LIMIT_VARIABLE, MAX_EMPTY_S, entries, sweep, touch, trim
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


def test_what_was_used_longest_ago_goes_first_and_never_what_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for age, name in enumerate(("newest", "middle", "oldest", "mine")):
        (tmp_path / f"{name}.npy").write_bytes(bytes(100))
        (tmp_path / f"{name}.json").write_text(f'{{"holds": "{name} data"}}')
        os.utime(tmp_path / f"{name}.json", (1e9 - age, 1e9 - age))
    assert [entry.key for entry in entries(tmp_path)] == ["newest", "middle", "oldest", "mine"]
    said: list[str] = []
    for gib, kept in ((400 / 2**30, 4), (399 / 2**30, 3), (200 / 2**30, 2), (1 / 2**30, 1)):
        monkeypatch.setenv(LIMIT_VARIABLE, str(gib))
        trim(tmp_path, tmp_path / "mine.npy", said.append)
        assert len(list(tmp_path.glob("*.npy"))) == len(list(tmp_path.glob("*.json"))) == kept
    assert [line.split()[2] for line in said] == ["oldest", "middle", "newest"]
    assert (tmp_path / "mine.npy").exists()


def test_a_judge_that_was_half_saved_is_no_obstacle(tmp_path: Path) -> None:
    folder = tmp_path / "judge"
    folder.mkdir()
    for name in (".weights.safetensors.tmp", "weights.safetensors", ".judge.json.tmp"):
        (folder / name).write_bytes(b"x")
        refuse_existing(folder)
    (folder / "judge.json").write_text("{}")
    with pytest.raises(UserError, match="already exists; choose another with --out"):
        refuse_existing(folder)
