"""A new plugin package: its names are checked, its components keep the contract, and it trains once installed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ganforge.api import API_VERSION, UserError
from ganforge.components.registry import Plugin, Registry
from ganforge.scaffold.plugin import KINDS, new_plugin
from ganforge.testing import outcomes
from support.command_line import call
from support.paths import ROOT
from support.toys import toy_registry

TEMPLATE = ROOT / "template"


@pytest.fixture
def importable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that Python imports from; what was imported is forgotten after the test."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.partition(".")[0] == "zeta_gan":
            del sys.modules[name]


def test_every_component_of_a_new_plugin_keeps_the_cheap_rules(importable: Path) -> None:
    new_plugin("zeta-gan", KINDS, importable / "project")
    sys.path.insert(0, str(importable / "project"))
    try:
        import zeta_gan  # type: ignore[import-not-found]
    finally:
        sys.path.pop(0)
    assert zeta_gan.GANFORGE_API == API_VERSION
    found = Registry.from_modules([(Plugin("zeta"), zeta_gan)])
    assert found.broken == ()
    assert [len(components) for components in found.components.values()] == [1] * len(KINDS)
    rules = ["example", "described", "frozen", "round_trip", "shapes", "processes", "heads", "data"]
    for component in found.providers:
        results = list(outcomes(component, toy_registry(), rules=rules))
        assert [str(each) for each in results if each.verdict != "kept"] == []


def test_the_folder_to_copy_is_what_the_command_writes(tmp_path: Path) -> None:
    made = tmp_path / "my-gan"
    new_plugin("my-gan", KINDS, made)
    wanted = {path.relative_to(made): path.read_bytes() for path in made.rglob("*") if path.is_file()}
    found = {
        path.relative_to(TEMPLATE): path.read_bytes()
        for path in TEMPLATE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert found == wanted


def test_one_kind_gets_an_example_that_names_the_rest(tmp_path: Path) -> None:
    files = new_plugin("zeta-gan", ["loss"], tmp_path / "zeta-gan")
    assert [str(file.relative_to(tmp_path / "zeta-gan")) for file in files] == [
        "pyproject.toml",
        "README.md",
        "example.toml",
        "tests/test_conformance.py",
        ".github/workflows/tests.yml",
        "zeta_gan/__init__.py",
        "zeta_gan/loss.py",
    ]
    assert 'type = "iclevr"' in (tmp_path / "zeta-gan" / "example.toml").read_text()


@pytest.mark.parametrize(
    ("name", "kinds", "expected"),
    [
        ("Acme", ["loss"], "expected a name of lower-case letters, digits and hyphens that starts with a letter, of at most 40 characters, such as acme-gan; got 'Acme'"),
        ("../x", ["loss"], "expected a name of lower-case letters, digits and hyphens that starts with a letter, of at most 40 characters, such as acme-gan; got '../x'"),
        ("a" * 41, ["loss"], f"expected a name of lower-case letters, digits and hyphens that starts with a letter, of at most 40 characters, such as acme-gan; got '{'a' * 41}'"),
        ("class", ["loss"], "'class' is a word or a module of Python; choose a name such as class-gan"),
        ("json", ["loss"], "'json' is a word or a module of Python; choose a name such as json-gan"),
        ("torch", ["loss"], "a module 'torch' is installed already; choose another name"),
        ("ganforge-x", ["loss"], "a module 'ganforge_x' is installed already; choose another name"),
        ("dcgan", ["loss", "nets"], "plugin 'architectures' (ganforge 0.1.0) has architecture 'dcgan' already, and run files could use neither of two; choose another name, such as my-dcgan"),
        ("zeta-gan", ["los"], "there is no kind 'los' to start from; did you mean 'loss'? (kinds: loss, data, nets, term, callback, metric, prior, task, optimizer, tracker)"),
        ("zeta-gan", [], "expected one kind or several, such as --kind loss (kinds: loss, data, nets, term, callback, metric, prior, task, optimizer, tracker)"),
    ],
)  # fmt: skip
def test_names_and_kinds_are_checked(tmp_path: Path, name: str, kinds: list[str], expected: str) -> None:
    with pytest.raises(UserError) as caught:
        new_plugin(name, kinds, tmp_path / "new")
    assert str(caught.value) == expected
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        new_plugin("zeta-gan", ["loss"], tmp_path)
    assert str(caught.value) == (
        f"{tmp_path} exists already; choose another name, or another folder with --out"
    )


@pytest.mark.slow
def test_a_new_plugin_installs_passes_its_tests_and_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("hatchling")
    pytest.importorskip("pip")
    made = call(tmp_path, "plugin", "new", "zeta-gan", "--kind", ",".join(KINDS))
    assert made.code == 0
    assert made.out.endswith("next:  pip install -e ./zeta-gan  &&  ganforge plugin check zeta-gan\n")
    site = tmp_path / "site"
    command = ["pip", "install", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(site)]
    subprocess.run([sys.executable, "-m", *command, str(tmp_path / "zeta-gan")], check=True, timeout=120)
    paths = [str(site), *(path for path in sys.path if path)]
    monkeypatch.setenv("PYTHONPATH", ":".join(paths))

    def ganforge(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=tmp_path / "zeta-gan",
            capture_output=True,
            text=True,
            timeout=500,
        )

    checked = ganforge("ganforge", "plugin", "check", "zeta-gan")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert checked.stdout.endswith("10 components: 97 rules kept, 0 broken\n")
    tested = ganforge("pytest", "-q", "-p", "no:cacheprovider")
    assert tested.returncode == 0, tested.stdout
    short = ("--set", "train.images=2000", "--set", "wandb.mode=disabled", "--out", str(tmp_path / "run"))
    trained = ganforge("ganforge", "run", "example.toml", *short)
    assert trained.returncode == 0, trained.stderr
    assert trained.stdout.startswith("finished after 2,016 images")
