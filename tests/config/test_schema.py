"""The JSON Schema of run files, and what editors make of it."""

from __future__ import annotations

import json
import shutil
import subprocess
import tomllib
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from support.command_line import call
from support.paths import EXAMPLES, RUN_FILES

KEPT = EXAMPLES / "ganforge.schema.json"
START = '[data]\ntype = "iclevr"\n[nets]\ntype = "dcgan"\n'
MISTAKES = {
    "misspelt key": '[data]\ntype = "iclevr"\nscense = 3\n[nets]\ntype = "dcgan"\n',
    "misspelt section": START + "[trian]\nimages = 3\n",
    "wrong type": START + 'width = "8"\n',
    "out of range": START + "[train]\nbatch_size = 0\n",
    "unknown component": START + '[loss]\ntype = "hing"\n',
    "key of another component": START + '[loss]\ntype = "bce"\nmargin = 1.0\n',
    "no type": START + "[loss]\nmargin = 1.0\n",
    "wrong member": START + '[generator.optimizer]\ntype = "adam"\nbetas = ["a", 0.9]\n',
    "short array": START + '[generator.optimizer]\ntype = "adam"\nbetas = [0.5]\n',
    "misspelt in an array of tables": START + '[[terms]]\ntype = "r1"\nwieght = 3.0\n',
    "missing section": '[data]\ntype = "iclevr"\n',
}
GOOD = START + '[[terms]]\ntype = "r1"\n[generator.optimizer]\ntype = "adam"\nbetas = [0.5, 0.9]\n'


@pytest.fixture
def printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What `ganforge schema` prints with the built-in plugins alone."""
    others = {entry.dist.name for entry in entry_points(group="ganforge") if entry.dist} - {"ganforge"}
    monkeypatch.setenv("GANFORGE_DISABLE_PLUGINS", ",".join(others))
    done = call(tmp_path, "schema")
    assert (done.code, done.err) == (0, "")
    return done.out


def validator(schema: str) -> Any:
    return pytest.importorskip("jsonschema").Draft7Validator(json.loads(schema))


def test_the_kept_schema_is_the_printed_one(printed: str) -> None:
    # As data: releases of pydantic differ in how they write a whole number.
    assert json.loads(KEPT.read_text(encoding="utf-8")) == json.loads(printed), (
        "the components have changed; regenerate the schema without third-party plugins: "
        "ganforge schema > examples/ganforge.schema.json"
    )


def test_it_is_a_schema_of_draft_7(printed: str) -> None:
    schema = json.loads(printed)
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert "prefixItems" not in printed
    pytest.importorskip("jsonschema").Draft7Validator.check_schema(schema)


def test_every_section_tells_its_components_apart_by_type(printed: str) -> None:
    properties = json.loads(printed)["properties"]
    assert properties["nets"]["discriminator"]["propertyName"] == "type"
    assert "dcgan" in properties["nets"]["discriminator"]["mapping"]
    assert properties["nets"]["description"] == "The generator and the discriminator."


@pytest.mark.parametrize("example", RUN_FILES, ids=lambda example: example.stem)
def test_examples_name_the_schema_and_obey_it(printed: str, example: Path) -> None:
    text = example.read_text(encoding="utf-8")
    named = text.splitlines()[0].removeprefix("#:schema ")
    assert (example.parent / named).resolve() == KEPT
    assert [error.message for error in validator(printed).iter_errors(tomllib.loads(text))] == []


def test_there_are_examples() -> None:
    assert RUN_FILES


def test_a_good_file_is_accepted(printed: str) -> None:
    assert validator(printed).is_valid(tomllib.loads(GOOD))


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes_are_refused(printed: str, case: str) -> None:
    assert not validator(printed).is_valid(tomllib.loads(MISTAKES[case]))


@pytest.fixture(scope="module")
def taplo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Taplo, the language server behind the TOML extensions of editors."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("no npm")
    folder = tmp_path_factory.mktemp("taplo")
    command = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder), "@taplo/cli@0.7.0"]
    if subprocess.run(command, capture_output=True, check=False, timeout=120).returncode:
        pytest.skip("npm cannot install @taplo/cli")
    return folder / "node_modules" / ".bin" / "taplo"


def lint(taplo: Path, folder: Path, *files: Path) -> subprocess.CompletedProcess[str]:
    command = [str(taplo), "lint", "--no-auto-config", *map(str, files)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.slow
def test_an_editor_finds_the_schema_of_the_examples_and_accepts_them(taplo: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(EXAMPLES, tmp_path / "examples")
    shutil.rmtree(folder / "sweeps")
    done = lint(taplo, folder, *sorted(folder.rglob("*.toml")))
    assert done.returncode == 0, done.stderr
    spoilt = folder / RUN_FILES[0].relative_to(EXAMPLES)
    spoilt.write_text(spoilt.read_text() + "\n[trian]\n")
    refused = lint(taplo, folder, spoilt)
    assert refused.returncode == 1
    assert "'trian' was unexpected" in refused.stderr


@pytest.mark.slow
def test_an_editor_refuses_mistakes(taplo: Path, tmp_path: Path) -> None:
    shutil.copy(KEPT, tmp_path)
    header = f"#:schema ./{KEPT.name}\n"
    good = tmp_path / "good.toml"
    good.write_text(header + GOOD)
    assert lint(taplo, tmp_path, good).returncode == 0
    bad = {case: tmp_path / f"{case}.toml" for case in MISTAKES}
    for case, file in bad.items():
        file.write_text(header + MISTAKES[case])
    done = lint(taplo, tmp_path, *bad.values())
    assert done.returncode == 1
    refused = [line for line in done.stderr.splitlines() if "invalid file" in line]
    assert [case for case, file in bad.items() if not any(file.name in line for line in refused)] == []
