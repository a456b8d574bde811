"""The tutorial, the lab session and the how-to pages, executed from the first command to the last."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import pytest
from PIL import Image

from support import digit_files
from support.page_blocks import Block, blocks, commands
from support.paths import EXAMPLES, ROOT

pytestmark = pytest.mark.slow

FEW_IMAGES = ["--set", "train.images=64", "--set", "train.batch_size=16", "--set", "wandb.mode=disabled"]
SMALL = {
    "run": FEW_IMAGES,
    "resume": ["--set", "train.images=128"],
    "evaluate": ["--set", "metrics.0.{}=4"],
    "judge": ["--epochs", "1"],
    "neighbours": ["--count", "16"],
    "lab": ["--seeds", "2"],
}
"""Command -> what makes it short."""
DRAWN = ["--set", "data.scenes=20"]
ELSEWHERE = ("pip", "source", "python3", ".venv/bin/pip", "tensorboard")
"""A server, and commands that change the installation; an entry point stands in for `pip install .`."""
WEB = Path(tempfile.gettempdir()) / "ganforge-web-for-tests"
"""Where the tests of the playground build its runtime, if it is not installed."""


class Reader:
    """Somebody who types what a page says, in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "examples").symlink_to(EXAMPLES)
        digit_files.files(folder / "mnist")
        path = [str(folder), str(WEB), os.environ.get("PYTHONPATH", "")]
        self.environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(filter(None, path)),
            "OMP_NUM_THREADS": "1",
            "XDG_CACHE_HOME": str(folder / "cache"),
            "TMPDIR": str(folder),
        }
        self.done: list[list[str]] = []

    def read(self, page: str) -> Reader:
        """Writes the files of a page and runs its commands and snippets."""
        for block in blocks(ROOT / "docs" / f"{page}.md"):
            if block.file:
                (self.folder / block.file).write_text(block.text)
                if block.file == "pyproject.toml":
                    self.install(block.text)
            elif block.language == "python":
                self.call(sys.executable, "-c", block.text)
            elif block.language == "bash":
                self.type(block)
        return self

    def type(self, block: Block) -> None:
        for words in commands(block.text):
            assert words[0] == "ganforge" or words[0] in ELSEWHERE, f"a command that is not run: {words}"
            if words[0] == "ganforge" and not self.lacks_runtime(words):
                self.play(words[1:]) if words[1] == "play" else self.ganforge(words[1:])

    def ganforge(self, words: list[str]) -> None:
        more = list(SMALL.get(words[0], ()))
        if words[0] in ("run", "judge") and any("iclevr" in word for word in words):
            more += DRAWN
        if words[0] == "run" and any("mnist" in word for word in words):
            more += ["--set", "data.root=mnist"]
        if words[0] == "evaluate":
            metric = tomllib.loads((self.folder / words[words.index("--metrics") + 1]).read_text())[
                "metrics"
            ][0]
            more = [each.format("samples" if "samples" in metric else "n") for each in more]
        self.call(sys.executable, "-m", "ganforge", *words, *more)

    def call(self, *command: str) -> None:
        done = subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True)
        # Whether a run ends within its time depends on the machine; both are what the page describes.
        ends = (0, 75) if "--max-minutes" in command else (0,)
        assert done.returncode in ends, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
        self.done.append(list(command))

    def play(self, words: list[str]) -> None:
        """Serves until the address is printed."""
        command = [sys.executable, "-u", "-m", "ganforge", *words, "--no-browser"]
        with subprocess.Popen(
            command, cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            # Not SIGINT, which is ignored below a shell's background job.
            process.terminate()
        assert line.startswith("http://127.0.0.1:"), line
        self.done.append(command)

    def lacks_runtime(self, words: list[str]) -> bool:
        if words[1] != "play" and "--web" not in words:
            return False
        ask = [sys.executable, "-c", "import ganforge_web; ganforge_web.runtime()"]
        return subprocess.run(ask, env=self.environment, capture_output=True).returncode != 0

    def install(self, project: str) -> None:
        """What `pip install -e .` would make of a pyproject.toml: metadata with entry points."""
        table = tomllib.loads(project)["project"]
        info = self.folder / f"{table['name'].replace('-', '_')}-{table['version']}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {table['name']}\nVersion: {table['version']}\n"
        )
        points = "".join(
            f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in each.items())
            for group, each in table["entry-points"].items()
        )
        (info / "entry_points.txt").write_text(points)


def test_the_tutorial(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    pytest.importorskip("onnxruntime")
    for page in ("first_run", "reading_a_run", "own_loss"):
        reader.read(f"tutorial/{page}")
    for page in ("play", "export", "trackers", "howto/resume"):
        reader.read(page)
    assert len(reader.done) > 18
    assert (tmp_path / "runs/margin/run.json").is_file() and (tmp_path / "generator.onnx").is_file()
    with Image.open(tmp_path / "grid.png") as grid:
        assert min(grid.size) >= 64


def test_the_lab_session(tmp_path: Path) -> None:
    reader = Reader(tmp_path).read("lab")
    assert len(reader.done) > 13
    for name in ("dcgan", "c1", "c2", "three", "asked", "objects"):
        assert (tmp_path / f"{name}.png").is_file(), name
