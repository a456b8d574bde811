"""run.json: true about the machine, and silent where there is nothing to say."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import torch

import ganforge
from ganforge.outputs.provenance import PACKAGES, provenance


def git(*arguments: str, cwd: Path) -> str:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *arguments]
    return subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True).stdout.strip()


def test_versions_and_start() -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    found = provenance([{"name": "losses", "version": "1"}])
    assert found["ganforge"] == ganforge.__version__
    assert found["python"] == platform.python_version()
    assert found["packages"]["numpy"] == np.__version__
    assert found["packages"]["torch"] in (torch.__version__, torch.__version__.partition("+")[0])
    assert set(found["packages"]) == set(PACKAGES)
    assert found["plugins"] == [{"name": "losses", "version": "1"}]
    assert found["command"] == sys.argv
    assert before <= datetime.fromisoformat(found["started"]) <= datetime.now(UTC)
    assert found["cpu"]["model"]
    assert found["cpu"]["threads"] == os.cpu_count()
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_that_torch_computes_with(threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert provenance([])["cpu"]["used"] == threads
    finally:
        torch.set_num_threads(before)


def test_commit_of_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert provenance([])["git"] is None

    git("init", "-q", cwd=tmp_path)
    git("commit", "-q", "--allow-empty", "-m", "first", cwd=tmp_path)
    commit = git("log", "-1", "--format=%H", cwd=tmp_path)
    assert provenance([])["git"] == {"commit": commit, "dirty": False}

    (tmp_path / "new.txt").write_text("")
    assert provenance([])["git"] == {"commit": commit, "dirty": True}


def test_no_git_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert provenance([])["git"] is None
