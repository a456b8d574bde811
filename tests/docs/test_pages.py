"""Commands, run files and snippets of the pages exist and are valid; test_tutorial.py executes them."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import pytest
import tomli_w

from ganforge.cli import cli
from ganforge.components.faults import KIND_NOUNS
from ganforge.config import load
from ganforge.engine.health.diagnoses import DIAGNOSES
from support.installed import installed
from support.page_blocks import Block, blocks, commands
from support.paths import EXAMPLES, ROOT

PAGES = sorted({*(ROOT / "docs").rglob("*.md"), ROOT / "docker" / "README.md", ROOT / "README.md"})
IDS = [page.relative_to(ROOT).as_posix() for page in PAGES]
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
        load(tmp_path / "run.toml", installed())


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


def test_each_diagnosis_is_explained() -> None:
    page = (ROOT / "docs" / "explanation" / "health.md").read_text()
    assert [name for name in DIAGNOSES if f"| `{name}` |" not in page] == []
