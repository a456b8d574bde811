"""`evaluate` refuses what is wrong in its files and its call, and writes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.command_line import EXAMPLE, TINY, Done, call, contents, sets
from support.evaluated import DISTANCE, METRICS
from support.evaluated import finished as finished
from support.evaluated import place as place


@pytest.mark.parametrize(
    ("judge", "reason"), [("none", "No such file or directory"), (".", "Is a directory")]
)
def test_a_file_that_a_metric_needs_is_missed_before_training(place: Path, judge: str, reason: str) -> None:
    metrics = f"metrics=[{{type='condition_accuracy', judge='{judge}'}}]"
    done = call(place, "run", EXAMPLE, "--out", "own", *sets(*TINY, metrics))
    where = place if judge == "." else place / judge
    assert done == Done(
        2,
        "",
        f"--set {metrics}: metric 'condition_accuracy' cannot read judge = {where}: {reason}; "
        "fix the path, or remove the metric\n",
    )
    assert not (place / "own").exists()


EXAMPLE_TABLES = '[[metrics]]\ntype = "condition_accuracy"\njudge = "path/to/judge"'


@pytest.mark.parametrize(
    ("metrics", "overrides", "expected"),
    [
        ("[[metrics]]\n[data]\n", [], f"f.toml: expected [[metrics]] tables and nothing else, such as\n{EXAMPLE_TABLES}"),
        ("", [], f"f.toml: expected [[metrics]] tables and nothing else, such as\n{EXAMPLE_TABLES}"),
        ("x = [", [], "f.toml: not TOML: Invalid value (at end of document)"),
        (
            '\n[[metrics]]\ntype = "condition_accuracy"\njudge = "j"\nrepeat = 1\n',
            [],
            "f.toml:5: metrics.0.repeat: unknown key 'repeat'; did you mean 'repeats'? "
            "(keys: type, every, seed, judge, conditions, drawn, n, repeats, name)",
        ),
        (
            DISTANCE,
            ["metrics.1.samples=3"],
            "--set metrics.1.samples=3: expected metrics.N.KEY=VALUE, N being one of the 1 tables of f.toml, "
            "counted from 0",
        ),
        (
            METRICS,
            ["metrics.0.judge=none"],
            "metric 'condition_accuracy': PLACE/none is not a judge: it has no judge.json; pass the folder that "
            "'ganforge judge train' wrote",
        ),
    ],
)  # fmt: skip
def test_mistakes_are_refused_and_nothing_is_written(
    place: Path, metrics: str, overrides: list[str], expected: str
) -> None:
    (place / "f.toml").write_text(metrics)
    before = contents(place)
    done = call(place, "evaluate", "mine", "--metrics", "f.toml", *sets(*overrides))
    assert (done.code, done.out) == (2, "")
    assert done.err.replace(str(place), "PLACE") == f"{expected}\n"
    assert contents(place) == before


def test_other_mistakes(place: Path) -> None:
    assert call(place, "evaluate", "judge").err.startswith("judge is not a run folder: ")
    lost = call(place, "evaluate", "mine", "--metrics", "lost.toml")
    assert lost.err == "lost.toml: cannot be read: No such file or directory\n"
    without = call(
        place, "evaluate", "mine", "--metrics", "m.toml", "--network", "ema", *sets("ema.halflife=0")
    )
    assert without.err == "mine has no moving average (ema.halflife = 0); use --network raw\n"
