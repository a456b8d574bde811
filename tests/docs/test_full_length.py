"""The full length that an example's head gives as settings: they fit, and cost what the head says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from ganforge.components.registry import discover
from ganforge.config import RunConfig, load
from ganforge.profiling.rehearsal import rehearse
from ganforge.training.build import plan
from support.paths import EXAMPLES, RUN_FILES

COST = re.compile(
    r"^# Cost: (\d+) GFLOP an image \(`ganforge check`\), ([\d.]+) EFLOP: (\d+) hours on an A100 \(40 TFLOP/s\), "
    r"(\d+) years on an EPYC thread\.$",
    re.MULTILINE,
)
PRICED = [path for path in RUN_FILES if COST.search(path.read_text())]


def full_length(example: Path) -> RunConfig:
    """The example with the settings of the lines above its cost."""
    head = example.read_text().split("# Cost: ")[0]
    settings = re.findall(r"^#   (--set .*)$", head, re.MULTILINE)
    changes = [change.strip() for line in settings for change in line.split("--set ")[1:]]
    assert changes
    return load(example, discover(), changes)


def test_each_of_the_long_recipes_has_its_cost() -> None:
    names = {str(path.relative_to(EXAMPLES)) for path in PRICED}
    assert names == {"r3gan/iclevr64.toml", "stylegan2_ada/iclevr64.toml", "stylegan2_ada/own_images.toml"}


@pytest.mark.parametrize("example", PRICED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_settings_fit_and_the_sums_are_right(example: Path) -> None:
    config = full_length(example)
    found = COST.search(example.read_text())
    assert found is not None
    per_image, total, hours, _ = map(float, found.groups())
    flops = per_image * 1e9 * config.train.images
    assert float(f"{flops / 1e18:.2g}") == total
    assert round(flops / 40e12 / 3600) == hours


def test_the_schedules_of_r3gan_reach_over_its_full_length() -> None:
    config = full_length(EXAMPLES / "r3gan" / "iclevr64.toml")
    ramps = re.findall(r"over=([\d_]+)", repr(config))
    assert len(ramps) == 8 and {int(each) for each in ramps} == {config.train.images}


@pytest.mark.slow
@pytest.mark.parametrize("example", PRICED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_an_image_costs_what_the_head_says(example: Path) -> None:
    config = full_length(example)
    agreed = plan(config)
    counted = rehearse(agreed, agreed.networks("meta"), torch.device("cpu"))
    found = COST.search(example.read_text())
    assert found is not None
    assert round(counted.flops / config.train.batch_size / 1e9) == int(found.group(1))


MINUTES = re.compile(
    r"^# Cost: ([\d.]+) GFLOP per image \(`ganforge check`\), ([\d.]+) EFLOP: (\d+) minutes at 40 TFLOP/s",
    re.MULTILINE,
)
SHORTER = sorted((EXAMPLES / "cifar10").glob("*.toml"))


@pytest.mark.parametrize("example", SHORTER, ids=lambda path: path.stem)
def test_the_sums_of_the_examples_on_cifar10(example: Path) -> None:
    found = MINUTES.search(example.read_text())
    assert found is not None
    per_image, total, minutes = map(float, found.groups())
    flops = per_image * 1e9 * load(example, discover()).train.images
    assert float(f"{flops / 1e18:.2g}") == total
    assert round(flops / 40e12 / 60) == minutes


@pytest.mark.slow
@pytest.mark.parametrize("example", SHORTER, ids=lambda path: path.stem)
def test_an_image_of_cifar10_costs_what_the_head_says(example: Path) -> None:
    agreed = plan(load(example, discover()))
    flops = rehearse(agreed, agreed.networks("meta"), torch.device("cpu")).flops
    found = MINUTES.search(example.read_text())
    assert found is not None
    assert float(f"{flops / agreed.config.train.batch_size / 1e9:.3g}") == float(found.group(1))
