"""`ganforge-fidelity` as a plugin: what does not fit is refused, what was used recorded, and it installs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from torch import Tensor

import ganforge_fidelity
from ganforge.api import Context, DataSpec, Metric
from ganforge.components import registry
from ganforge.components.registry import Plugin, Registry
from ganforge.evaluation import evaluate as evaluation
from ganforge.evaluation.record import write_record
from ganforge_fidelity.frechet import FrechetDistance
from ganforge_fidelity.inception_score import InceptionScore
from ganforge_fidelity.kernel import KernelDistance
from ganforge_fidelity.precision_recall import PrecisionRecall
from support.command_line import EXAMPLE, TINY, call, sets
from support.environments import Environment
from support.paths import ROOT
from support.tiny_fidelity import TINY_NAME, needs_torch_fidelity, refusal
from support.tiny_fidelity import hub as hub
from support.toys import _Given

pytestmark = needs_torch_fidelity


def test_it_uses_the_api_and_nothing_else_of_ganforge() -> None:
    files = list((ROOT / "plugins" / "ganforge-fidelity" / "ganforge_fidelity").glob("*.py"))
    found = {
        name for file in files for name in re.findall(r"(?:from|import) (ganforge[.\w]*)", file.read_text())
    }
    assert {name for name in found if not name.startswith("ganforge_fidelity")} == {"ganforge.api"}


TINY_FID = FrechetDistance(extractor=TINY_NAME, samples=50)


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        (
            TINY_FID.model_copy(update={"real": 61}),
            "metric 'fidelity_fid' needs 61 real images, but the data has 60; set real = 60 or less",
        ),
        (
            KernelDistance(extractor=TINY_NAME, samples=50),
            "metric 'fidelity_kid' draws subsets of 1,000 images, but samples is 50; set subset_size = 50 or less",
        ),
        (
            PrecisionRecall(extractor=TINY_NAME, samples=9, real=3),
            "metric 'fidelity_precision_recall' needs 3 neighbours, but real is 3; set neighbours = 2 or less",
        ),
        (
            InceptionScore(extractor=TINY_NAME, samples=9),
            "metric 'fidelity_inception_score' splits 9 samples into 10 parts; set splits = 9 or less",
        ),
        (
            InceptionScore(extractor="dinov2-vit-s-14"),
            "metric 'fidelity_inception_score' needs an extractor with class outputs, which 'dinov2-vit-s-14' "
            'does not have; use extractor = "inception-v3-compat"',
        ),
    ],
)
def test_what_does_not_fit_is_refused(metric: Metric, expected: str) -> None:
    assert refusal(metric) == expected


def test_other_extractors_and_data_are_refused() -> None:
    assert refusal(FrechetDistance(extractor="tiny-tst")).startswith(
        "torch-fidelity has no extractor 'tiny-tst'; did you mean 'tiny-test'? (known: clip-rn101, "
    )
    points = "metric 'fidelity_fid' needs images of 1 or 3 channels, got data of shape 2"
    assert refusal(TINY_FID, spec=DataSpec(shape=(2,))) == points


def with_plugin() -> Registry:
    """The installed components and those of this plugin."""
    installed = registry.discover()
    others = [plugin for plugin in installed.plugins if plugin.distribution != "ganforge-fidelity"]
    modules: list[Any] = [(plugin, _Given(installed, plugin)) for plugin in others]
    return Registry.from_modules(
        [*modules, (Plugin("fidelity", "ganforge-fidelity", "0.1.0"), ganforge_fidelity)]
    )


def test_an_evaluation_records_the_extractor(tmp_path: Path) -> None:
    from support.tiny_extractor import TinyExtractor

    assert call(tmp_path, "run", EXAMPLE, "--out", "mine", *sets(*TINY)).code == 0
    (tmp_path / "m.toml").write_text(
        f'[[metrics]]\ntype = "fidelity_fid"\nextractor = "{TINY_NAME}"\nsamples = 20\n'
    )
    with mock.patch.object(TinyExtractor, "forward", _pooled(TinyExtractor.forward)):
        record = evaluation.evaluate(
            tmp_path / "mine",
            with_plugin(),
            evaluation.Evaluation(tmp_path / "m.toml", seeds=2),
            Context(tmp_path / ".cache", lambda line: None, lambda items, total, what: iter(items)),
        )
    (row,) = record["metrics"]
    assert row["values"].keys() == {"fd_tiny_test", "fd_tiny_test_std"}
    assert row["plugin"] == {"distribution": "ganforge-fidelity", "version": "0.1.0"}
    assert row["uses"]["resizer"] == {"interpolation": "the extractor's own"}
    assert row["depends_on"]["uses"] == row["uses"]
    assert (row["depends_on"]["generated"], row["depends_on"]["real"]["samples"]) == (20, 12)
    assert row["seeds"] == [0, 1]
    assert json.loads(write_record(tmp_path / "mine", record).read_text()) == record


def _pooled(forward: Any) -> Callable[..., tuple[Tensor, ...]]:
    """For images of 16x16 where the extractor knows 8x8."""
    return lambda self, images: forward(self, images[:, :, ::2, ::2].contiguous())


@pytest.mark.slow
def test_it_installs_beside_ganforge_and_is_found(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    pytest.importorskip("pip")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "env"], check=True)
    here = Environment(tmp_path / "env" / "bin" / "python", tmp_path)
    own = here.run("-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    shared = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    lines = [f"import site; site.addsitedir({path!r})\n" for path in sorted(shared)]
    Path(own, "shared.pth").write_text("".join(lines))
    here.run(
        "-m", "pip", "install", "--no-deps", "--no-build-isolation", "--no-index",
        "--disable-pip-version-check", str(ROOT / "plugins" / "ganforge-fidelity"),
    )  # fmt: skip
    assert Path(own, "ganforge_fidelity", "py.typed").is_file()
    listed, shown, evaluated = here.ganforge(
        ["plugins"],
        ["plugins", "show", "metrics", "fidelity_kid"],
        [
            "run",
            str(EXAMPLE),
            *sets(*TINY),
            "--set",
            "metrics=[{type='fidelity_fid', extractor='inception'}]",
        ],
    )
    assert (listed.code, listed.err) == (0, "")
    names = [line.split()[1:4] for line in listed.out.splitlines() if line.endswith("(fidelity)")]
    assert names == [
        [f"fidelity_{name}", "ganforge-fidelity", "0.1.0"]
        for name in ("fid", "inception_score", "kid", "precision_recall")
    ]
    assert shown.out.startswith("metrics 'fidelity_kid', from plugin 'fidelity' (ganforge-fidelity 0.1.0)\n")
    # Told before training, not at the metric's first turn, and nothing of the run is left.
    assert evaluated.code == 2
    assert evaluated.err.startswith("torch-fidelity has no extractor 'inception'; did you mean ")
    assert not (tmp_path / "runs").exists()
