"""`ganforge profile`: every part of an iteration is found, nothing is counted twice, the trace loads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import ganforge.profiling.clock as module
from ganforge.api import Context, UserError
from ganforge.profiling.clock import Watch, attach
from ganforge.profiling.profile import Profile, profile_run
from support.command_line import EXAMPLE, TINY, call, sets
from support.toys import toy_config, toy_loop, weights_of

PENALIZED = {
    "nets": {"type": "dcgan", "width": 4, "condition_dim": 4, "d_norm": "layer"},
    "terms": [{"type": "gradient_penalty"}],
}
PARTS = [
    "data",
    "D's update: generator forward",
    "D's update: discriminator forward",
    "D's update: term gradient_penalty",
    "D's update: backward",
    "D's update: optimizer",
    "G's update: generator forward",
    "G's update: discriminator forward",
    "G's update: backward",
    "G's update: optimizer",
    "moving average",
    "logging",
    "other",
]


def profiled(folder: Path, out: Path | None = None, **sections: Any) -> Profile:
    context = Context(folder, lambda line: None, lambda items, total, what: iter(items))
    return profile_run(toy_config(**sections), 2, context, out)


def test_every_part_has_its_time_and_the_shares_are_the_whole(tmp_path: Path) -> None:
    found = profiled(tmp_path, **PENALIZED)
    assert [part.name for part in found.parts] == PARTS
    assert all(part.ms > 0 for part in found.parts if part.name != "logging")
    assert found.images_per_second == pytest.approx(8 * 1000 / sum(part.ms for part in found.parts))
    rows = [line for line in found.lines() if line.endswith("%")]
    assert len(rows) == len(PARTS)
    shares = [float(row.split()[-1].rstrip("%")) for row in rows]
    assert sum(shares) == pytest.approx(100, abs=0.05 * len(rows) + 1e-6)


class Clock:
    """Each call is a second later."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        self.now += 1
        return self.now


def test_time_belongs_to_exactly_one_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "time", Clock())
    watch = Watch(torch.device("cpu"))
    watch.begin()
    outer = watch.timed("outer", lambda: watch.timed("inner", lambda: None)())
    outer()
    # Looks: begin, outer, inner, outer again, other again, end: five stretches of a second.
    assert watch.end() == {"other": 2.0, "outer": 2.0, "inner": 1.0}


def test_parts_come_in_the_order_of_an_update(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loop, _ = toy_loop(tmp_path, toy_config(**PENALIZED))
    watch = Watch(torch.device("cpu"))
    attach(loop, watch)
    seen: list[str] = []
    enter = watch.enter
    monkeypatch.setattr(watch, "enter", lambda part: (seen.append(part), enter(part))[1])
    loop._iterate(False)
    steps = [part for part in seen if part != "other"]
    expected = [part for part in PARTS if part not in ("other", "logging")]
    assert list(dict.fromkeys(steps)) == expected
    # Two verdicts in D's update and one in G's; the one inside the penalty is the penalty's.
    assert steps.count("D's update: discriminator forward") == 2
    assert steps.count("G's update: discriminator forward") == 1


def test_being_watched_changes_no_weight(tmp_path: Path) -> None:
    plain, _ = toy_loop(tmp_path, toy_config(**PENALIZED))
    watched, _ = toy_loop(tmp_path, toy_config(**PENALIZED))
    attach(watched, Watch(torch.device("cpu")))
    for loop in (plain, watched):
        loop._iterate(False)
        loop._iterate(True)
    after = weights_of(watched)
    assert all(torch.equal(weight, after[name]) for name, weight in weights_of(plain).items())


def test_the_trace_is_json_with_the_parts_as_ranges(tmp_path: Path) -> None:
    out = tmp_path / "trace.json"
    found = profiled(tmp_path, out, **PENALIZED)
    names = {event.get("name") for event in json.loads(out.read_text())["traceEvents"]}
    assert set(PARTS) - {"logging"} <= names
    assert found.slowest and all(part.name in names for part in found.slowest)


def test_the_command_prints_the_table_and_leaves_only_the_trace(tmp_path: Path) -> None:
    done = call(tmp_path, "profile", EXAMPLE, *sets(*TINY), "--iterations", 1, "--out", "trace.json")
    assert done.code == 0
    assert "D's update: backward" in done.out and "images/s" in done.out
    assert done.out.splitlines()[-1] == "trace: trace.json"
    assert sorted(path.name for path in tmp_path.iterdir()) == [".cache", "trace.json"]


@pytest.mark.parametrize(
    ("out", "expected"),
    [
        ("trace.txt", "--out trace.txt: expected a name that ends in .json"),
        ("gone/t.json", "--out gone/t.json: there is no folder {folder}/gone; create it, or choose another"),
    ],
)
def test_a_trace_that_cannot_be_written_is_refused_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str, expected: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as caught:
        profiled(tmp_path, Path(out))
    assert str(caught.value) == expected.format(folder=tmp_path)


def test_bad_numbers_are_refused(tmp_path: Path) -> None:
    done = call(tmp_path, "profile", EXAMPLE, "--iterations", 0)
    assert done.code == 2 and "0 is not in the range x>=1" in done.err
