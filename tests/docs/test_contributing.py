"""What ARCHITECTURE.md, CONTRIBUTING.md, the Makefile and the workflow say is so."""

from __future__ import annotations

import importlib
import re
import subprocess
import tomllib

import pytest

import ganforge.api
from ganforge.cli import cli
from support.paths import ROOT

ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
PAGES = {"ARCHITECTURE.md": ARCHITECTURE, "CONTRIBUTING.md": CONTRIBUTING}
MAKEFILE = (ROOT / "Makefile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
OF_A_RUN = {
    "config.toml",
    "run.json",
    "metrics.jsonl",
    "manifest.json",
    "grids/",
    "checkpoints/<images seen>/",
}
"""Names in backticks that are in a run folder."""
ELSEWHERE = {
    "Judge": "ganforge.api.judge.judge",
    "Game": "ganforge.engine.update.game",
    "Player": "ganforge.engine.update.player",
    "Sentinel": "ganforge.engine.health.sentinel",
    "Finding": "ganforge.engine.health.sentinel",
}


def section(page: str, title: str) -> str:
    """From one heading of the second level to the next."""
    return page.split(f"## {title}\n")[1].split("\n## ")[0]


def rows(text: str) -> list[str]:
    """The first cells of the tables in `text`."""
    return re.findall(r"^\| (.+?) \|", text, flags=re.MULTILINE)


@pytest.mark.parametrize("page", PAGES)
def test_files_and_folders_exist(page: str) -> None:
    names = set(re.findall(r"`([\w/.-]+(?:\.\w+|/[\w-]+/?))`", PAGES[page]))
    paths = {name for name in names if "/" in name or name.endswith((".py", ".toml", ".md"))} - OF_A_RUN
    assert len(paths) >= 3
    places = (ROOT, ROOT / "ganforge", ROOT / "ganforge" / "engine", ROOT / "ganforge" / "engine" / "update")
    missing = [name for name in paths if not any((place / name).exists() for place in places)]
    assert [name for name in missing if name not in ("__init__.py", "train.placement")] == []


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", PAGES[page])
    assert targets or page == "ARCHITECTURE.md"
    assert [target for target in targets if not (ROOT / target).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_one_page(page: str) -> None:
    assert len(PAGES[page].splitlines()) <= 110


def test_the_tree_is_whole() -> None:
    cells = " ".join(rows(section(ARCHITECTURE, "The tree")))
    for folder, prefix in ((ROOT / "ganforge", "ganforge/"), (ROOT / "ganforge" / "engine", "")):
        packages = [each.parent.name for each in folder.glob("*/__init__.py")]
        assert packages
        assert [name for name in packages if f"`{prefix}{name}`" not in cells] == []


def test_the_layers_are_those_that_are_checked() -> None:
    contracts = [each for each in PROJECT["tool"]["importlinter"]["contracts"] if each["type"] == "layers"]
    assert len(contracts) == 2
    for contract in contracts:
        (container,) = contract["containers"]
        assert re.search(
            rf"^{re.escape(container)}: +{re.escape(' > '.join(contract['layers']))}$",
            ARCHITECTURE,
            re.MULTILINE,
        )
        assert contract["exhaustive"]


def test_the_classes_of_the_glossary_exist() -> None:
    names = [
        name for cell in rows(section(ARCHITECTURE, "Glossary")) for name in re.findall(r"`([A-Z]\w+)`", cell)
    ]
    assert len(names) > 10
    for name in names:
        module = importlib.import_module(ELSEWHERE[name]) if name in ELSEWHERE else ganforge.api
        assert hasattr(module, name), name


def test_commands_exist() -> None:
    named = re.findall(r"`ganforge ([a-z]+) ", ARCHITECTURE)
    assert named and set(named) <= set(cli.commands)


def test_make_targets_exist_and_are_listed() -> None:
    targets = {name for line in re.findall(r"^([a-z -]+):", MAKEFILE, re.MULTILINE) for name in line.split()}
    named = set(re.findall(r"make ([a-z-]+)", CONTRIBUTING + (ROOT / "README.md").read_text()))
    assert {"help", "quick", "ci"} <= named <= targets
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert {name for name in targets if name not in shown} == set()
    (phony,) = re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    assert set(phony.split()) == targets


def test_the_quick_tests_exist() -> None:
    (listed,) = re.findall(r"^QUICK = ((?:.*\\\n)*.*)$", MAKEFILE, re.MULTILINE)
    names = listed.replace("\\\n", " ").split()
    assert len(names) > 10
    assert [name for name in names if not (ROOT / "tests" / name).exists()] == []


def test_the_workflow_calls_the_script() -> None:
    yaml = pytest.importorskip("yaml")
    (job,) = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"].values()
    assert [step["run"] for step in job["steps"] if "run" in step] == ["bash .ci/run"]
    prefix = "Programming Language :: Python :: "
    claimed = [
        each.removeprefix(prefix) for each in PROJECT["project"]["classifiers"] if each.startswith(prefix)
    ]
    assert job["strategy"]["matrix"]["python"] == claimed
