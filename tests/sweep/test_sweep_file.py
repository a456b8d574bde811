"""Sweeps: the file, what is refused of it, the choices it gives, and the examples."""

from __future__ import annotations

import json
import os
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ganforge.api import UserError
from ganforge.config import load
from ganforge.sweep.load import load_sweep
from ganforge.sweep.space import category, distributions, ends, grid, grid_size, overrides
from ganforge.sweep.spec import Parameter
from support.deferred import deferred
from support.installed import installed
from support.paths import EXAMPLES, ROOT
from support.sweeps import RUN, SWEEP
from support.sweeps import place as place

optuna = deferred("optuna", reason="a sweep needs Optuna: pip install 'ganforge[sweep]'")


def refusal(place: Path, *changes: tuple[str, str]) -> list[str]:
    text = SWEEP.lstrip()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (place / "s.toml").write_text(text)
    with pytest.raises(UserError) as caught:
        load_sweep(place / "s.toml", installed())
    return str(caught.value).replace(f"{place}/", "").splitlines()


# The file


def test_an_unlike_key_is_refused_with_its_line(place: Path) -> None:
    said = refusal(place, ("optimizer.lr", "optimizer.lrr"))
    assert said == [
        "s.toml:16: parameters.0.key: the run file refuses generator.optimizer.lrr=1e-05: "
        "generator.optimizer.lrr: unknown key 'lrr'; did you mean 'lr'? "
        "(keys: type, lr, betas, eps, lazy)"
    ]


def test_a_value_that_the_run_file_would_refuse_is_told_before_anything_starts(place: Path) -> None:
    (said,) = refusal(
        place, ('"float"', '"choice"'), ("low = 1e-5\nhigh = 1e-2\nlog = true", "choices = [1e-3, -1.0]")
    )
    assert said.startswith(
        "s.toml:16: parameters.0.key: the run file refuses generator.optimizer.lr=-1.0: generator.optimizer.lr: "
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([("low = 1e-5\n", "")], "s.toml:15: parameters.0.low: is missing"),
        (
            [("low = 1e-5", "low = 0.0")],
            "s.toml:18: parameters.0.low: must be greater than 0 with log = true, got 0",
        ),
        (
            [("high = 1e-2", "high = 1e-6")],
            "s.toml:19: parameters.0.high: must be greater than low (1e-05), got 1e-06",
        ),
        (
            [("log = true", "log = true\nstep = 1e-5")],
            "s.toml:21: parameters.0.step: and log = true are mutually exclusive",
        ),
        (
            [('"float"', '"int"'), ("1e-5", "0.5"), ("1e-2", "4")],
            "s.toml:18: parameters.0.low: expected a whole number, got 0.5",
        ),
        (
            [("log = true", "lig = true")],
            "s.toml:20: parameters.0.lig: unknown key 'lig'; did you mean 'log'? "
            "(keys: key, kind, low, high, log, step, choices)",
        ),
        (
            [("seed = 3", "seed = -1")],
            "s.toml:10: sampler.seed: should be greater than or equal to 0, got -1",
        ),
        (
            [('"random"', '"grid"')],
            's.toml:17: parameters.0.kind: a grid needs a step here, or kind = "choice"',
        ),
        (
            [('"high_quality"', "3")],
            "s.toml:5: objective.metric: should be a valid string, got 3",
        ),
        ([("[[parameters]]", "[parameters]")], "s.toml:15: parameters: should be a valid array, got"),
    ],
)
def test_mistakes_are_told_with_their_line(
    place: Path, changes: list[tuple[str, str]], expected: str
) -> None:
    (said,) = refusal(place, *changes)
    assert said.startswith(expected)


def test_a_run_without_metrics_cannot_be_judged(place: Path) -> None:
    (place / "run.toml").write_text(RUN.split("[[metrics]]")[0])
    assert refusal(place) == [
        "s.toml:5: objective.metric: run.toml has no [[metrics]], so no trial would report 'high_quality'"
    ]


def test_a_key_that_is_there_twice_is_refused(place: Path) -> None:
    block = SWEEP[SWEEP.index("[[parameters]]") :]
    (said,) = refusal(place, (block, block + "\n" + block))
    assert said == "s.toml:23: parameters.1.key: 'generator.optimizer.lr' is listed twice"


# The choices


def parameter(**keys: Any) -> Parameter:
    return Parameter.model_validate_json(json.dumps({"key": "a.b", **keys}))


def test_a_grid_has_every_point_once_and_its_ends() -> None:
    lr = parameter(kind="float", low=0.1, high=0.3, step=0.1)
    width = parameter(kind="int", low=8, high=64, step=28).model_copy(update={"key": "w"})
    net = parameter(kind="choice", choices=["x", [1, 2]]).model_copy(update={"key": "n"})
    points = grid([lr, width, net])
    assert len(points) == grid_size([lr, width, net]) == 3 * 3 * 2
    assert len({tuple(point.values()) for point in points}) == 18
    assert sorted({point["w"] for point in points}) == [8, 36, 64]
    assert [round(float(value), 9) for value in sorted({point["a.b"] for point in points})] == [0.1, 0.2, 0.3]
    assert points[0] == {"a.b": 0.1, "w": 8, "n": "x"}
    assert points[1]["n"] == category((1, 2)) == "[1, 2]"


def test_values_are_written_as_toml() -> None:
    given = [
        (parameter(kind="choice", choices=["adam", [0.0, 0.9], True]), "adam", 'a.b="adam"'),
        (parameter(kind="choice", choices=["adam", [0.0, 0.9], True]), "[0.0, 0.9]", "a.b=[0.0, 0.9]"),
        (parameter(kind="choice", choices=["adam", [0.0, 0.9], True]), True, "a.b=true"),
        (parameter(kind="float", low=1e-5, high=1), 1e-5, "a.b=1e-05"),
        (parameter(kind="int", low=1, high=8), 4, "a.b=4"),
    ]
    for each, value, expected in given:
        assert overrides([each], {"a.b": value}) == [expected]
    assert ends(parameter(kind="int", low=1, high=8)) == ["a.b=1", "a.b=8"]


def test_distributions_are_those_of_the_file() -> None:
    kinds = optuna.distributions
    for each, expected in (
        (parameter(kind="float", low=1e-5, high=1, log=True), kinds.FloatDistribution(1e-5, 1, log=True)),
        (parameter(kind="float", low=0, high=1, step=0.25), kinds.FloatDistribution(0, 1, step=0.25)),
        (parameter(kind="int", low=2, high=8, step=2), kinds.IntDistribution(2, 8, step=2)),
        (parameter(kind="choice", choices=["a", 2]), kinds.CategoricalDistribution(["a", 2])),
    ):
        assert distributions([each]) == {"a.b": expected}


# The examples


@pytest.mark.parametrize("example", sorted((EXAMPLES / "sweeps").glob("*.toml")), ids=lambda path: path.stem)
def test_each_example_fits_its_run_file(example: Path) -> None:
    assert load_sweep(example, installed()).sweep.trials >= 20


def test_the_agent_of_wandb_gives_its_values_to_a_run(tmp_path: Path) -> None:
    """As the agent expands it: `${args_no_hyphens}` is one word `key=value` for each parameter."""
    import yaml

    spec = yaml.safe_load((EXAMPLES / "sweeps" / "wandb.yaml").read_text())
    words = ["generator.optimizer.lr=0.0007", "generator.optimizer.betas=[0.5, 0.9]"]
    command = [
        part for each in spec["command"] for part in (words if each == "${args_no_hyphens}" else [each])
    ]
    (tmp_path / "ganforge").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (tmp_path / "ganforge").chmod(0o755)
    scene = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "WANDB_SWEEP_ID": "s1", "WANDB_RUN_ID": "r1"}
    given = subprocess.run(command, env=scene, capture_output=True, text=True, check=True).stdout.splitlines()
    assert given[:4] == ["run", "examples/toy/gan_ring8.toml", "--out", "runs/s1/r1"]
    assert given[-4:] == ["--set", words[0], "--set", words[1]]
    settings = [value for option, value in pairwise(given) if option == "--set"]
    assert load(ROOT / given[1], installed(), settings).generator.optimizer.model_dump()["lr"] == 0.0007
