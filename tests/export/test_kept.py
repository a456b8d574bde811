"""`play` exports a generator once: what is kept of it, for how long, and what makes another one."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ganforge.export import kept, page_parts, web
from ganforge.outputs.run_folder import RunFolder
from support.command_line import EXAMPLE, TINY, call, sets

onnx = pytest.importorskip("onnx", reason="the extra [export] is not installed")

SECOND = """
import sys
from pathlib import Path
from ganforge.export import kept
from ganforge.outputs.run_folder import RunFolder
key = kept.key_of(RunFolder.open(Path(sys.argv[1])), "newest")
print(kept.read(key).network.hex(), "torch" in sys.modules)
"""


class Playing:
    """`ganforge play` in a folder, ended as soon as the page is there."""

    def __init__(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.place = place
        self.exports = 0
        self.facts: dict[str, Any] = {}
        self.network = b""
        monkeypatch.setattr(web, "to_onnx", self._export)
        monkeypatch.setattr("socketserver.BaseServer.serve_forever", lambda server: self._look(server))
        monkeypatch.setattr(signal, "signal", lambda *_: None)
        runtime = {name: b"" for name in (*page_parts.RUNTIME, "LICENSE.onnxruntime")}
        monkeypatch.setattr("ganforge.export.page_folder.runtime_files", lambda: runtime)

    def __call__(self, run: str = "mine", *options: str) -> str:
        done = call(self.place, "play", run, "--no-browser", *options)
        assert done.code == 0, done.err
        return done.err

    def _export(self, *_: Any) -> Any:
        self.exports += 1
        model = onnx.ModelProto(producer_name=f"export {self.exports}")
        model.graph.input.add(name="z")
        return model

    def _look(self, server: Any) -> None:
        folder = Path(server.RequestHandlerClass.keywords["directory"])
        text = (folder / "index.html").read_text().partition('id="model">')[2].partition("</script>")[0]
        self.facts, self.network = json.loads(text), (folder / "model.onnx").read_bytes()
        raise KeyboardInterrupt

    def entry(self) -> Path:
        """The one that is kept."""
        (found,) = (self.place / ".cache" / "ganforge").glob("*.page")
        return found


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kept")
    done = call(folder, "run", EXAMPLE, "--out", "mine", "--set", "logging.checkpoint_every=32", *sets(*TINY))
    assert done.code == 0, done.err
    return folder


@pytest.fixture
def playing(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Playing:
    """On a copy of a run with two checkpoints."""
    shutil.copytree(trained / "mine", tmp_path / "mine")
    return Playing(tmp_path, monkeypatch)


def test_the_second_time_nothing_is_exported(playing: Playing) -> None:
    assert playing() == "exporting the generator, once for these weights ...\n"
    facts, network = playing.facts, playing.network
    assert facts["name"] == facts["command"] == "mine" and facts["latent"] is True
    assert playing() == ""
    assert (playing.exports, playing.facts, playing.network) == (1, facts, network)
    (playing.place / "deep").mkdir()
    assert playing("deep/../mine") == ""
    assert playing.facts == {**facts, "command": "deep/../mine"} and playing.exports == 1


def test_a_kept_page_needs_no_torch(playing: Playing) -> None:
    playing()
    done = subprocess.run(
        [sys.executable, "-c", SECOND, "mine"],
        cwd=playing.place,
        env={**os.environ, "XDG_CACHE_HOME": str(playing.place / ".cache")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{playing.network.hex()} False\n"


@pytest.mark.parametrize("part", ["config.toml", "run.json", "plugin", "ganforge", "version", "checkpoint"])
def test_what_an_export_depends_on_makes_another(
    playing: Playing, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    run = RunFolder.open(playing.place / "mine")
    before = kept.key_of(run, "newest")
    assert before is not None and kept.key_of(run, "newest") == before
    if part in ("plugin", "ganforge"):
        own = kept._digest
        name = "ganforge" if part == "ganforge" else "ganforge_priors"
        monkeypatch.setattr(kept, "_digest", lambda at: own(at) + ("+" if at.name == name else ""))
    elif part == "version":
        own = kept.metadata.version
        monkeypatch.setattr(kept.metadata, "version", lambda of: own(of) + ("+" if of == "torch" else ""))
    elif part == "checkpoint":
        assert kept.key_of(run, "32") not in (before, None) and kept.key_of(run, "64") == before
        (weights,) = run.checkpoints.glob("*64/generator.safetensors")
        weights.write_bytes(weights.read_bytes() + b"\0")
    else:
        file = run.path / part
        file.write_text(file.read_text() + "\n")
    assert kept.key_of(run, "newest") not in (before, None)


def test_a_damaged_entry_is_made_again(playing: Playing) -> None:
    playing()
    whole = playing.entry().read_bytes()
    for damaged in (whole[:-1], whole[:70] + b"!" + whole[71:], b""):
        playing.entry().write_bytes(damaged)
        before = playing.exports
        playing()
        assert playing.exports == before + 1
        assert playing() == "" and playing.exports == before + 1


def test_a_damaged_checkpoint_is_reported_each_time(playing: Playing) -> None:
    (weights,) = (playing.place / "mine" / "checkpoints").glob("*64/generator.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1])
    for _ in range(2):
        assert "damaged" in playing() and "trained on 32 images" in playing.facts["facts"]
    assert playing.exports == 2 and not (playing.place / ".cache").exists()


def test_the_cache_lists_clears_and_bounds_it(playing: Playing, monkeypatch: pytest.MonkeyPatch) -> None:
    playing()
    entry = playing.entry()
    listed, total = call(playing.place, "cache").out.splitlines()
    assert listed.endswith(f"{entry.stem}  page of mine, 64 images seen") and total.startswith("1 entries, ")
    monkeypatch.setenv("GANFORGE_CACHE_GIB", "1e-9")
    playing("mine", "--checkpoint", "32")
    assert playing.entry() != entry and not entry.with_suffix(".json").exists()
    assert call(playing.place, "cache", "clear").out.startswith("deleted 1 entries, ")
    assert not list((playing.place / ".cache" / "ganforge").iterdir())


def test_a_cache_that_cannot_be_written_keeps_nothing(playing: Playing) -> None:
    (playing.place / ".cache").write_text("a file")
    for _ in range(2):
        assert playing() == "exporting the generator, once for these weights ...\n"
    assert playing.exports == 2
