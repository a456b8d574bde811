"""A plugin of someone else's: written, installed with pip next to ganforge, and used."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from support.command_line import EXAMPLE, TINY, Done, call, contents, sets
from support.environments import Environment

PYPROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "acme-gan"
version = "0.2"
dependencies = ["ganforge"]

[project.entry-points.ganforge]
acme = "acme_gan"
"""

MODULE = '''\
from typing import Literal

from ganforge.api import Field, Loss, hookimpl


class Acme(Loss):
    """The critic's loss, bent at a margin."""

    type: Literal["acme"] = "acme"
    margin: float = Field(1.0, gt=0, description="Where the loss bends, in logits.")

    def d_loss(self, real, fake):
        return (self.margin - real).relu().mean() + (self.margin + fake).relu().mean()

    def g_loss(self, fake, real):
        return -fake.mean()


@hookimpl
def ganforge_components():
    return [Acme]
'''


@pytest.fixture(scope="module")
def acme(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment that shares our packages, with the plugin in its own."""
    pytest.importorskip("hatchling")
    pytest.importorskip("pip")
    folder = tmp_path_factory.mktemp("acme")
    made = [sys.executable, "-m", "venv", "--without-pip", str(folder / "env")]
    subprocess.run(made, check=True, timeout=120)
    environment = Environment(folder / "env" / "bin" / "python", folder)
    own = environment.run("-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    # Not a plain path: an editable install of ganforge is itself a .pth file, which is read only in a
    # site folder.
    shared = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    lines = [f"import site; site.addsitedir({path!r})\n" for path in sorted(shared)]
    Path(own, "shared.pth").write_text("".join(lines))
    (folder / "source").mkdir()
    (folder / "source" / "pyproject.toml").write_text(PYPROJECT)
    (folder / "source" / "acme_gan.py").write_text(MODULE)
    environment.run(
        "-m", "pip", "install", "--no-deps", "--no-build-isolation", "--no-index",
        "--disable-pip-version-check", str(folder / "source"),
    )  # fmt: skip
    assert Path(own, "acme_gan.py").is_file()
    return environment


RUN = ("run", str(EXAMPLE), *sets(*TINY))
NAMED = sets("loss.type=acme")
SESSION = {
    "list": ["plugins"],
    "show": ["plugins", "show", "loss", "acme"],
    "misspelt": [*RUN, *NAMED, *sets("loss.margn=2.0")],
    "train": [*RUN, "--out", "trained", *NAMED, *sets("loss.margin=2.0", "train.images=96")],
    "sample": ["sample", "trained", "--n", "2", "--out", "x.png"],
    "unnamed": [*RUN, "--out", "unnamed"],
}


@pytest.fixture(scope="module")
def session(acme: Environment) -> dict[str, Done]:
    """What the commands of `SESSION` gave, one after the other."""
    return dict(zip(SESSION, acme.ganforge(*SESSION.values()), strict=True))


def test_it_is_listed_with_its_distribution_and_version(session: dict[str, Done]) -> None:
    done = session["list"]
    assert (done.code, done.err) == (0, "")
    assert "loss        acme                    acme-gan 0.2  (acme)" in done.out.splitlines()


def test_its_keys_are_shown(session: dict[str, Done]) -> None:
    assert session["show"] == Done(
        0,
        "loss 'acme', from plugin 'acme' (acme-gan 0.2)\n\nThe critic's loss, bent at a margin.\n\n"
        "  margin: number > 0 = 1.0\n      Where the loss bends, in logits.\n",
        "",
    )


def test_its_keys_are_checked(session: dict[str, Done]) -> None:
    message = "loss.margn: unknown key 'margn'; did you mean 'margin'? (keys: type, margin)"
    assert session["misspelt"] == Done(2, "", f"--set loss.margn=2.0: {message}\n")


def test_it_trains_and_is_recorded_and_sampled(session: dict[str, Done], acme: Environment) -> None:
    assert session["train"].code == 0
    assert session["train"].out.startswith("finished after 96 images; the run is in trained\n")
    run = acme.folder / "trained"
    first = json.loads((run / "metrics.jsonl").read_text().splitlines()[0])
    # A fresh critic is near 0 everywhere, so that both halves of the loss are near the margin of 2.
    assert first["loss/d"] == pytest.approx(4.0, abs=1.5)
    used = json.loads((run / "run.json").read_text())["plugins"]
    assert {"name": "acme", "distribution": "acme-gan", "version": "0.2"} in used
    assert session["sample"].code == 0


def test_a_run_that_does_not_name_it_is_the_same_without_it(
    session: dict[str, Done], acme: Environment
) -> None:
    assert session["unnamed"].code == 0
    # Here, outside of the environment, the plugin is not installed.
    assert call(acme.folder, *RUN, "--out", "without").code == 0
    beside, without = (contents(acme.folder / name) for name in ("unnamed", "without"))
    assert beside["config.toml"] == without["config.toml"]
    weights = [name for name in beside if name.endswith(".safetensors")]
    assert len(weights) == 5
    assert all(beside[name] == without[name] for name in weights)
    plugins = json.loads((acme.folder / "unnamed" / "run.json").read_text())["plugins"]
    assert {plugin["distribution"] for plugin in plugins} == {"ganforge"}
