"""The snippets of docs/python.md run, in order, as they are."""

from __future__ import annotations

import contextlib
import re
import runpy
import tomllib
from pathlib import Path

import pytest
import tomli_w

import ganforge
from support.command_line import EXAMPLE
from support.paths import ROOT

PAGE = ROOT / "docs" / "python.md"


def test_the_snippets_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / ".cache"))
    document = tomllib.loads(EXAMPLE.read_text())
    document["data"] |= {"scenes": 4, "image_size": 64}
    document["nets"] |= {"width": 4}
    document["train"] |= {"batch_size": 16, "device": "cpu"}
    document["logging"] = {"every": 16, "grid_every": 0}
    document["wandb"] = {"mode": "disabled"}
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples" / "cgan_iclevr.toml").write_text(tomli_w.dumps(document))
    # The example in small, for as long.
    text = PAGE.read_text().replace("20_000", "32")
    blocks = re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    (tmp_path / "snippets.py").write_text("\n".join(blocks))
    with contextlib.chdir(tmp_path):
        scene = runpy.run_path("snippets.py")
        assert scene["run"].info["ganforge"] == ganforge.__version__
    assert len(blocks) == 6
    assert scene["samples"].tensor.shape == (8, 3, 64, 64)
    assert scene["samples"].images[0].size == (64, 64)
    assert scene["pair"].conditions[2] == ["blue cube", "gray sphere"]
    assert scene["between"].tensor.shape == (8, 3, 64, 64)
    assert scene["seen"] == [16, 32] == list(scene["frame"].index)
    assert (tmp_path / "grid.png").is_file() and (tmp_path / "conditions.png").is_file()
