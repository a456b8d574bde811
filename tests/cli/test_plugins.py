"""`plugins` and `plugins show`, and what installed plugins do to a run that names them, or does not."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from support.command_line import EXAMPLE, TINY, call, contents, refused, sets
from support.installed import installed

HINGE = '''\
from typing import Literal

from ganforge.api import Loss, hookimpl


class Mine(Loss):
    """A hinge of another make."""

    type: Literal["hinge"] = "hinge"

    def d_loss(self, real, fake):
        return fake.mean() - real.mean()

    def g_loss(self, fake, real):
        return -fake.mean()


@hookimpl
def ganforge_components():
    return [Mine]
'''

Install = Callable[[str, str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Adds a plugin to the installed ones, the way pip does."""
    site = tmp_path / ".cache" / "site"
    site.mkdir(parents=True)
    monkeypatch.syspath_prepend(site)

    def put(name: str, code: str) -> None:
        module = f"{name}_gan"
        (site / f"{module}.py").write_text(code)
        info = site / f"{module}-0.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-gan\nVersion: 0.2\n")
        (info / "entry_points.txt").write_text(f"[ganforge]\n{name} = {module}\n")
        # Gone again after the test, whoever imports it.
        monkeypatch.setitem(sys.modules, module, None)
        del sys.modules[module]

    return put


def test_every_component_is_listed_with_its_distribution(tmp_path: Path) -> None:
    done = call(tmp_path, "plugins")
    assert (done.code, done.err) == (0, "")
    lines = [line.split() for line in done.out.splitlines()]
    assert ["loss", "hinge", "ganforge", "0.1.0", "(losses)"] in lines
    assert ["data", "iclevr", "ganforge", "0.1.0", "(datasets)"] in lines


def test_show_tells_what_it_is_and_its_keys(tmp_path: Path) -> None:
    done = call(tmp_path, "plugins", "show", "optimizer", "adam")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0] == "optimizer 'adam', from plugin 'optimizers' (ganforge 0.1.0)"
    assert "  lr: number > 0 | object = 0.0002" in lines
    assert "      Learning rate before the schedule of `[lr]`." in lines
    image_size = call(tmp_path, "plugins", "show", "data", "iclevr").out
    assert "  image_size: 16 | 32 | 64 | 128 | 256 = 64" in image_size
    assert "source: Tell, Draw, and Repeat" in image_size


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (("loss", "hing"), "no loss is called 'hing'; did you mean 'hinge'? (installed: bce, "),
        (("losss", "hinge"), "there is no kind 'losss'; did you mean 'loss'? (kinds: data, prior, "),
    ],
)
def test_show_of_what_there_is_not(tmp_path: Path, asked: tuple[str, str], expected: str) -> None:
    done = call(tmp_path, "plugins", "show", *asked)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(expected)


def test_show_lists_the_components_of_a_kind(tmp_path: Path) -> None:
    lines = call(tmp_path, "plugins", "show", "loss").out.splitlines()
    assert [line.split()[0] for line in lines] == sorted(installed().of("loss"))
    assert (
        "hinge             d_loss = E max(0, m - D(x)) + E max(0, m + D(G(z))), g_loss = -E D(G(z))." in lines
    )
    assert refused(tmp_path, "plugins", "show", "losss")[0].startswith(
        "there is no kind 'losss'; did you mean"
    )


def test_a_plugin_that_does_not_import_is_told_and_passed_over(tmp_path: Path, install: Install) -> None:
    install("acme", "import a_module_that_is_not_there\n")
    done = call(tmp_path, "plugins")
    assert done.code == 0
    assert "hinge" in done.out
    assert done.err == (
        "plugin 'acme' (acme-gan 0.2) is not used: does not import: ModuleNotFoundError: "
        "No module named 'a_module_that_is_not_there'\n"
    )
    checked = call(tmp_path, "check", EXAMPLE, *sets(*TINY))
    assert (checked.code, checked.err) == (0, "")
    missed = call(tmp_path, "check", EXAMPLE, "--set", "loss.type=acme")
    assert missed.code == 2
    assert missed.err.endswith(
        "; not loaded: plugin 'acme' (acme-gan 0.2) does not import: ModuleNotFoundError: No module named "
        "'a_module_that_is_not_there'\n"
    )


def test_two_plugins_that_claim_one_name(
    tmp_path: Path, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("zeta", HINGE)
    clash = (
        "loss 'hinge' is provided by both plugin 'losses' (ganforge 0.1.0) and plugin 'zeta' (zeta-gan 0.2); "
        "disable one with GANFORGE_DISABLE_PLUGINS=zeta\n"
    )
    listed = call(tmp_path, "plugins")
    assert (listed.code, listed.err) == (0, clash)
    hinge = ("--set", "loss.type=hinge")
    before = contents(tmp_path)
    done = call(tmp_path, "run", EXAMPLE, *sets(*TINY), *hinge)
    assert (done.code, done.out) == (2, "")
    assert done.err == f"--set loss.type=hinge: loss.type: {clash}"
    assert contents(tmp_path) == before
    assert call(tmp_path, "check", EXAMPLE, *sets(*TINY)).code == 0
    monkeypatch.setenv("GANFORGE_DISABLE_PLUGINS", "zeta")
    assert call(tmp_path, "check", EXAMPLE, *sets(*TINY), *hinge).code == 0


NOISY = """\
print("a banner of another project")
from typing import Literal
from ganforge.api import Loss, hookimpl

class Mine(Loss):
    type: Literal["noisy"] = "noisy"
    def d_loss(self, real, fake):
        return fake.mean() - real.mean()
    def g_loss(self, fake, real):
        return -fake.mean()

@hookimpl
def ganforge_components():
    return [Mine]
"""


def test_json_is_json_whatever_a_plugin_prints_or_raises(tmp_path: Path, install: Install) -> None:
    install("noisy", NOISY)
    install("leaving", "raise SystemExit('no licence')\n")
    done = call(tmp_path, "plugins", "list", "--json")
    found = json.loads(done.out)
    assert {"kind": "loss", "name": "noisy", "plugin": "noisy"} in found["components"]
    assert found["broken"] == [
        {
            "name": "leaving",
            "distribution": "leaving-gan",
            "version": "0.2",
            "reason": "does not import: SystemExit: no licence",
        }
    ]
    assert found["clashes"] == found["warnings"] == []
    assert "a banner of another project" in done.err
    shown = json.loads(call(tmp_path, "plugins", "show", "optimizer", "adam", "--json").out)
    assert shown["plugin"]["distribution"] == "ganforge"
    assert "lr" in shown["schema"]["properties"]


RUDE = """\
import os, random
import numpy, torch
os.chdir("/")
torch.set_default_dtype(torch.float64)
torch.manual_seed(0), numpy.random.seed(0), random.seed(0)
""" + NOISY.replace(
    "@hookimpl\ndef ganforge_components():\n", '@hookimpl\ndef ganforge_components():\n    print("again")\n'
)


def test_what_a_plugin_does_to_the_process_is_undone(tmp_path: Path, install: Install) -> None:
    install("rude", RUDE)
    torch.manual_seed(7), np.random.seed(7), random.seed(7)
    expected = random.Random(7).random(), np.random.RandomState(7).rand(), torch.get_rng_state()
    here = Path.cwd()
    done = call(tmp_path, "plugins", "list", "--json")
    found = json.loads(done.out)
    assert done.err == "a banner of another project\nagain\n"
    assert {"kind": "loss", "name": "noisy", "plugin": "rude"} in found["components"]
    assert found["warnings"] == [
        {
            "name": "rude",
            "distribution": "rude-gan",
            "version": "0.2",
            "warning": "changes, when it is imported, the working folder, torch's default dtype, the global "
            "random state; this was undone",
        }
    ]
    assert Path.cwd() == here
    assert torch.get_default_dtype() == torch.float32
    assert (random.random(), np.random.rand()) == expected[:2]
    assert torch.equal(torch.get_rng_state(), expected[2])


def test_a_command_that_waits_for_an_import_says_so(
    tmp_path: Path, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ganforge.components.registry.SLOW_S", -1.0)
    install("acme", HINGE.replace('"hinge"', '"acme"'))
    told = "loading plugin 'acme' (acme-gan 0.2) took 0 s; GANFORGE_DISABLE_PLUGINS=acme goes without it\n"
    checked = call(tmp_path, "check", EXAMPLE, *sets(*TINY))
    assert (checked.code, checked.err) == (0, told)
    shown = call(tmp_path, "plugins", "show", "loss", "--json")
    assert "acme" in json.loads(shown.out)
    assert shown.err == told
    # Another process of a run leaves it to the first.
    monkeypatch.setenv("RANK", "1")
    assert call(tmp_path, "plugins", "show", "loss").err == ""


def test_doctor_names_what_cannot_be_used_and_what_is_slow(
    tmp_path: Path, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ganforge.components.registry.SLOW_S", -1.0)
    install("acme", "import a_module_that_is_not_there\n")
    done = call(tmp_path, "plugins", "doctor")
    assert done.code == 1
    lines = done.out.splitlines()
    assert lines[0].startswith("ok     plugin 'architectures' (ganforge 0.1.0): 10 components, imported in ")
    assert (
        "FAULT  plugin 'acme' (acme-gan 0.2) is not used: does not import: ModuleNotFoundError: "
        "No module named 'a_module_that_is_not_there'"
    ) in lines
    assert (
        "note   plugin 'losses' (ganforge 0.1.0) took 0 s to import; GANFORGE_DISABLE_PLUGINS=losses goes "
        "without it"
    ) in lines


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("99.0", "is not used: ValueError: needs ganforge.api 99.0, and this ganforge has 1.0; upgrade it: pip install --upgrade ganforge"),
        ("1.1", "is not used: ValueError: needs ganforge.api 1.1, and this ganforge has 1.0; upgrade it: pip install --upgrade ganforge"),
        ("0.9", "is written for ganforge.api 0.9, and this ganforge has 1.0; look for a newer release of it"),
        ("new", "is not used: ValueError: GANFORGE_API should be like \"1.0\", got 'new'"),
    ],
)  # fmt: skip
def test_the_version_of_the_api_is_negotiated(
    tmp_path: Path, install: Install, wanted: str, expected: str
) -> None:
    install("acme", f'GANFORGE_API = "{wanted}"\n' + HINGE.replace('"hinge"', '"acme"'))
    done = call(tmp_path, "plugins")
    assert (done.code, done.err) == (0, f"plugin 'acme' (acme-gan 0.2) {expected}\n")


def test_plugin_check_reports_each_broken_rule(tmp_path: Path, install: Install) -> None:
    install("acme", NOISY.replace('"noisy"', '"acme"'))
    done = call(tmp_path, "plugin", "check", "acme")
    assert done.code == 1
    lines = done.out.splitlines()
    assert lines[0] == "loss 'acme' breaks rule 'described': class Mine has no docstring"
    assert [line[:7] for line in lines[1:3]] == ["  why: ", "  fix: "]
    assert lines[-1] == "1 component: 12 rules kept, 1 broken"
    missed = call(tmp_path, "plugin", "check", "acm")
    assert missed.code == 2
    assert missed.err.startswith("no plugin or distribution 'acm' is installed; did you mean 'acme'? (")


def test_help_and_version_import_no_plugin(
    tmp_path: Path, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("acme", "raise SystemExit('imported')\n")
    for asked in (("--version",), ("--help",), ("plugins", "--help"), ("run", "--help")):
        done = call(tmp_path, *asked)
        assert (done.code, done.err) == (0, "")
    assert "acme_gan" not in sys.modules
