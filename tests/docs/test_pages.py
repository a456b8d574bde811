"""Commands, run files and snippets of the pages: they exist, they are valid, and the tutorial runs."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import pytest
import tomli_w

from ganforge.cli import cli
from ganforge.components.faults import KIND_NOUNS
from ganforge.components.registry import discover
from ganforge.config import load
from support.page_blocks import Block, blocks, commands
from support.paths import EXAMPLES, ROOT

PAGES = sorted({*(ROOT / "docs").rglob("*.md"), ROOT / "docker" / "README.md", ROOT / "README.md"})
IDS = [page.relative_to(ROOT).as_posix() for page in PAGES]
TUTORIAL = ["first_run", "reading_a_run", "own_loss"]
BASE = EXAMPLES / "mnist" / "dcgan.toml"
"""Fragments of run files are completed by this one."""
NO_RUN_FILE = {"run", "build-system", "project", "metrics_only"}
"""Keys at the top of other TOML files: a sweep, a project."""


def ganforge(block: Block) -> Iterator[list[str]]:
    """The words after `ganforge` of each command in a shell block."""
    for words in commands(block.text):
        names = [Path(word).name for word in words]
        if "ganforge" in names and words[0] not in ("docker", "apptainer", "pip", "source"):
            yield words[names.index("ganforge") + 1 :]


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_each_command_exists_with_its_options(page: Path) -> None:
    for block in blocks(page):
        for words in ganforge(block) if block.language == "bash" else ():
            command: click.Command = cli
            rest = list(words)
            while isinstance(command, click.Group) and rest and rest[0] in command.commands:
                command = command.commands[rest.pop(0)]
            assert command is not cli, f"no such command: ganforge {' '.join(words)}"
            # `ganforge sweep FILE` is `ganforge sweep run FILE`.
            below = command.commands.values() if isinstance(command, click.Group) and rest else ()
            parameters = [each for every in (command, *below) for each in every.params]
            known = {option for each in parameters for option in (*each.opts, *each.secondary_opts)}
            given = {word.split("=")[0] for word in rest if word.startswith("-")}
            assert given <= known, f"ganforge {' '.join(words)}: unknown {given - known}"


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_each_file_that_a_command_names_exists(page: Path) -> None:
    for block in blocks(page):
        for words in ganforge(block) if block.language == "bash" else ():
            for word in words:
                if word.startswith("examples/"):
                    assert (ROOT / word).is_file(), word


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_each_run_file_is_valid(page: Path, tmp_path: Path) -> None:
    for block in blocks(page):
        if block.language != "toml":
            continue
        document = tomllib.loads(block.text)
        if NO_RUN_FILE & set(document):
            continue
        whole = completed(document)
        (tmp_path / "run.toml").write_text(tomli_w.dumps(whole))
        load(tmp_path / "run.toml", discover())


def completed(document: Mapping[str, Any]) -> dict[str, Any]:
    """A fragment of a run file in the base's place; a component replaces that of the base."""
    whole: dict[str, Any] = tomllib.loads(BASE.read_text())
    for key, value in document.items():
        replaces = key in KIND_NOUNS or isinstance(value, list) or key not in whole
        whole[key] = value if replaces else {**whole[key], **value}
    return whole


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_each_snippet_is_python(page: Path) -> None:
    for number, block in enumerate(blocks(page)):
        if block.language == "python":
            compile(block.text, f"{page.name}:{number}", "exec")


SMALL = {
    "run": ["--set", "train.images=64", "--set", "train.batch_size=16", "--set", "wandb.mode=disabled"],
    "evaluate": ["--set", "metrics.0.samples=16"],
}
"""Command -> what makes it short."""
FEW_SCENES = ["--set", "data.scenes=20"]
ELSEWHERE = ("pip", "source", "python3", ".venv/bin/pip")
"""Commands that change the installation; an entry point stands in for `pip install .`."""


def shortened(words: list[str]) -> list[str]:
    """The same command on fewer images."""
    more = SMALL.get(words[0], [])
    of_scenes = words[0] == "run" and any("iclevr" in word for word in words)
    return [*words, *more, *(FEW_SCENES if of_scenes else [])]


def install(project: str, folder: Path) -> None:
    """What `pip install -e .` would make of a pyproject.toml: metadata with entry points."""
    table = tomllib.loads(project)["project"]
    info = folder / f"{table['name'].replace('-', '_')}-{table['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {table['name']}\nVersion: {table['version']}\n"
    )
    points = "".join(
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in each.items())
        for group, each in table["entry-points"].items()
    )
    (info / "entry_points.txt").write_text(points)


@pytest.mark.slow
def test_the_tutorial_runs_from_its_first_command_to_its_last(tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(EXAMPLES)
    path = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))
    environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(tmp_path)}
    count = 0

    def call(*command: str) -> None:
        nonlocal count
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode in (0, 75), f"{' '.join(command)}\n{done.stdout}{done.stderr}"
        count += 1

    for name in TUTORIAL:
        for block in blocks(ROOT / "docs" / "tutorial" / f"{name}.md"):
            if block.file:
                (tmp_path / block.file).write_text(block.text)
                if block.file == "pyproject.toml":
                    install(block.text, tmp_path)
            elif block.language == "python":
                call(sys.executable, "-c", block.text)
            elif block.language == "bash":
                for words in commands(block.text):
                    if words[0] not in ELSEWHERE and words[0] != "ganforge":
                        raise AssertionError(f"{name}: a command that is not run: {words}")
                    if words[0] == "ganforge":
                        call(sys.executable, "-m", "ganforge", *shortened(words[1:]))
    assert count > 12
    assert (tmp_path / "grid.png").is_file() and (tmp_path / "runs/margin/run.json").is_file()
