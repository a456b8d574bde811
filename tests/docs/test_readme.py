"""The README, the plugin guide and the examples say what is so."""

from __future__ import annotations

import importlib
import math
import re
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest

from ganforge.api import KINDS
from ganforge.cli import cli
from ganforge.components.registry import Plugin, Registry, discover
from ganforge.config import load
from ganforge.config.schema import LISTS
from ganforge.profiling.preflight import preflight
from ganforge.testing import RULES
from ganforge.training.build import plan
from support.paths import ROOT, RUN_FILES
from support.small_runs import judges
from support.toys import run, toy_config, toy_loop

PAGES = [ROOT / "README.md", ROOT / "docs" / "plugins.md"]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_each_python_block_is_a_plugin_that_trains(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    for number, block in enumerate(blocks(page, "python")):
        name = f"block_{page.parent.name}_{number}"
        (tmp_path / f"{name}.py").write_text(block)
        registry = Registry.from_modules([(Plugin("page"), importlib.import_module(name))])
        assert registry.broken == ()
        (component,) = (each for kind in registry.components.values() for each in kind.values())
        made: Any = component.model_validate({})
        config = toy_config()
        given: dict[str, Any] = {component.kind: (made,) if component.kind in LISTS else made}
        if component.kind == "optimizer":
            given = {
                side: getattr(config, side).model_copy(update=given)
                for side in ("generator", "discriminator")
            }
        elif component.kind == "data" and made.spec().labels.kind == "none":
            config = toy_config(data={"type": "squares", "labels": "none"})
        loop, log = toy_loop(tmp_path / name, config.model_copy(update=given))
        assert run(loop) and all(math.isfinite(value) for row in log.rows for value in row.values())


def test_the_plugin_guide_shows_every_kind_and_rule() -> None:
    guide = (ROOT / "docs" / "plugins.md").read_text()
    shown = {
        base
        for block in blocks(PAGES[1], "python")
        for base in re.findall(r"^class \w+\((\w+)\)", block, re.M)
    }
    assert {kind.__name__ for kind in KINDS.values()} - shown == {"Dataset"}
    assert "ImageDataset" in shown
    assert re.findall(r"^\| `(\w+)` \| .+ \| .+ \|$", guide, re.M)[-len(RULES) :] == list(RULES)
    for rule in RULES.values():
        assert f"| {rule.why} |" in guide


def test_the_run_file_of_the_readme_is_valid(tmp_path: Path) -> None:
    (block,) = [each for each in blocks(ROOT / "README.md", "toml")]
    (tmp_path / "run.toml").write_text(block)
    plan(load(tmp_path / "run.toml", discover()))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_each_command_that_a_page_names_exists_with_its_options(page: Path) -> None:
    named = re.findall(
        r"ganforge ((?:run|resume|sample|check|plugins|schema|plot|report)\b[^\n`&]*)", page.read_text()
    )
    assert named
    for text in named:
        command = cli.commands[text.split()[0]]
        known = {option for parameter in command.params for option in parameter.opts}
        assert set(re.findall(r"--[a-z-]+", text)) <= known, text


def test_every_command_has_a_help_text() -> None:
    assert all(isinstance(command, click.Command) and command.help for command in cli.commands.values())


def test_ci_calls_the_commands_of_the_readme() -> None:
    script = (ROOT / ".ci" / "run").read_text().replace(" --quiet", "")
    readme = (ROOT / "README.md").read_text()
    for command in (
        "python3 -m venv .venv && .venv/bin/pip install .",
        ".venv/bin/pip install '.[test]' && .venv/bin/pytest",
    ):
        assert command in readme
        assert command in script


def test_links_of_the_pages_lead_somewhere() -> None:
    for page in PAGES:
        text = page.read_text()
        for target in re.findall(r"\]\(([^)#]+)\)", text) + re.findall(r'src="([^"]+)"', text):
            if not target.startswith("https://"):
                assert (page.parent / target).exists(), f"{page}: {target}"


@pytest.mark.parametrize("example", RUN_FILES, ids=lambda path: path.stem)
def test_each_example_fits_together(example: Path) -> None:
    config = load(example, discover())
    generator, discriminator = plan(config).networks("meta")
    assert min(len(list(network.parameters())) for network in (generator, discriminator)) > 0
    assert tomllib.loads(example.read_text())["train"]["images"] == config.train.images


@pytest.mark.slow
@pytest.mark.parametrize("example", RUN_FILES, ids=lambda path: path.stem)
def test_the_iteration_of_each_example_is_counted(example: Path, tmp_path: Path) -> None:
    judged = judges(tomllib.loads(example.read_text()), tmp_path, discover())
    found = preflight(load(example, discover(), judged))
    assert found.cost is not None and found.cost.iteration.flops > 0 and found.peak_bytes


def test_the_baseline_is_the_known_one() -> None:
    # Per layer: k*k*in*out for convolutions without bias, 2*out for batch norm, in*out + out for linear ones.
    g = 24 * 200 + 200
    g += sum(16 * a * b for a, b in ((300, 512), (512, 256), (256, 128), (128, 64), (64, 3)))
    g += 2 * (512 + 256 + 128 + 64)
    d = 24 * 4096 + 4096
    d += sum(16 * a * b for a, b in ((4, 64), (64, 128), (128, 256), (256, 512), (512, 1)))
    d += 2 * (128 + 256 + 512)
    found = preflight(load(ROOT / "examples/baselines/cgan_iclevr_dcgan.toml", discover()))
    assert (found.g_parameters, found.d_parameters) == (g, d)
    config = load(ROOT / "examples/baselines/cgan_iclevr_dcgan.toml", discover())
    assert config.prior.z_dim() == 100
    optimizer = config.generator.optimizer.model_dump()
    assert (optimizer["lr"], optimizer["betas"], config.train.batch_size) == (1e-4, (0.5, 0.999), 64)
