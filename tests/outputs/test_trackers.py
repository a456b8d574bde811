"""A tracker that hangs, raises or is absent changes nothing in a run; and every tracker is what it should be."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest

from ganforge.api import Sink, Tracker, UserError
from ganforge.engine.distributed.stop_request import StopRequest
from ganforge.outputs.mirror.link import MirrorLink
from ganforge.outputs.run_folder import RunFolder
from ganforge.training import session
from ganforge.training.run import start
from ganforge_trackers.accelerate import Accelerate
from support.installed import installed
from support.page_blocks import blocks
from support.paths import ROOT
from support.toys import toy_config, toy_registry

SINK = """
import json, os, sys, time
class Sink:
    purges = False
    by_hand = "by hand"
    def __init__(self, settings, run):
        self.place, self.manner, self.file = f"at {run.run_id}", settings["manner"], run.folder / "said"
        self.say("open", run.name, run.resume, run.reason)
    @classmethod
    def open(cls, settings, run):
        if settings["manner"] == "raises at once":
            raise RuntimeError("no server")
        if settings["manner"] == "retreats" and not run.reason:
            raise RuntimeError("no server")
        if settings["manner"] == "hangs":
            time.sleep(600)
        return cls(settings, run)
    @classmethod
    def retreat(cls, settings):
        return {**settings, "note": "offline"} if settings["manner"] == "retreats" else None
    def say(self, *what):
        with self.file.open("a") as file:
            file.write(json.dumps(what) + "\\n")
    def rows(self, rows):
        if self.manner == "raises":
            raise RuntimeError("no\\nsuch luck")
        if self.manner == "dies":
            os.kill(os.getpid(), 9)
        self.say("rows", [row["images_seen"] for row in rows])
    def image(self, name, images_seen, path):
        self.say("image", name, images_seen, path.name)
    def event(self, event):
        self.say("event", event["event"])
    def purge(self, images_seen):
        self.say("purge", images_seen)
    def close(self, ok):
        self.say("close", ok)
"""
TIMING = ("seconds", "images_per_second", "peak_memory_mib")


class Noted(Tracker):
    """Writes down what it is asked for, or fails in some manner."""

    sink: ClassVar[str] = "noting_sink:Sink"
    type: Literal["noted"] = "noted"
    manner: str = "works"


@pytest.fixture
def links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[MirrorLink]]:
    """The mirrors that a test starts, with the sink's module where they find it."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "noting_sink.py").write_text(SINK)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "modules"), *filter(None, sys.path)]))
    # A busy machine may take long to start a process.
    monkeypatch.setattr(session, "MIRROR_PATIENCE_S", 300.0)
    started: list[MirrorLink] = []
    begin = MirrorLink.start

    def keep(*arguments: Any, **more: Any) -> MirrorLink:
        started.append(begin(*arguments, **more))
        return started[-1]

    monkeypatch.setattr(MirrorLink, "start", keep)
    yield started
    for link in started:
        if link.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(link.process.pid, signal.SIGKILL)
            link.process.wait()


def trained(folder: Path, manner: str | None) -> list[str]:
    config = toy_config(logging={"grid_every": 24})
    trackers = () if manner is None else (Noted(manner=manner),)
    outcome = start(
        config.model_copy(update={"trackers": trackers}), folder, toy_registry(), StopRequest(), "test"
    )
    assert outcome.finished and outcome.images_seen == 48
    return list(outcome.lines)


def rows(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [{key: value for key, value in json.loads(line).items() if key not in TIMING} for line in lines]


def said(folder: Path) -> list[list[Any]]:
    return [json.loads(line) for line in (folder / "trackers" / "noted" / "said").read_text().splitlines()]


def test_what_a_sink_is_asked_for(tmp_path: Path, links: list[MirrorLink]) -> None:
    (line,) = trained(tmp_path / "run", "works")
    told = said(tmp_path / "run")
    assert told[0] == ["open", "run", False, ""] and told[-1] == ["close", True]
    assert [seen for each in told if each[0] == "rows" for seen in each[1]] == [8, 16, 24, 32, 40, 48]
    assert [each[1:] for each in told if each[0] == "image"] == [
        [name, seen, f"{seen:010d}.png"] for seen in (0, 24, 48) for name in ("conditions", "samples")
    ]
    assert line.startswith("noted: at ")


@pytest.mark.parametrize(
    ("manner", "line"),
    [
        ("raises at once", "noted: the mirror stopped (no server); the metrics are in "),
        ("raises", "noted: the mirror stopped (no such luck); the metrics are in "),
        ("dies", "noted: at "),
        ("hangs", "noted: no answer yet; the mirror keeps trying in the background (log: "),
    ],
)
def test_a_run_is_the_same_whatever_its_tracker_does(
    tmp_path: Path, links: list[MirrorLink], monkeypatch: pytest.MonkeyPatch, manner: str, line: str
) -> None:
    if manner == "hangs":
        monkeypatch.setattr(session, "MIRROR_PATIENCE_S", 0.0)
    trained(tmp_path / "plain", None)
    (told,) = trained(tmp_path / "tracked", manner)
    assert told.startswith(line)
    assert ("the upload was interrupted; to complete it by hand: by hand" in told) == (manner == "dies")
    assert rows(tmp_path / "tracked") == rows(tmp_path / "plain")
    for name in ("grids", "checkpoints"):
        both = [sorted(f.name for f in (tmp_path / run / name).iterdir()) for run in ("tracked", "plain")]
        assert both[0] == both[1]


def test_a_sink_may_retreat(tmp_path: Path, links: list[MirrorLink]) -> None:
    trained(tmp_path / "run", "retreats")
    assert said(tmp_path / "run")[0] == ["open", "run", False, "no server"]


def test_a_module_that_is_absent(tmp_path: Path, links: list[MirrorLink]) -> None:
    (tmp_path / "modules" / "noting_sink.py").unlink()
    (line,) = trained(tmp_path / "run", "works")
    assert line.startswith("noted: the mirror stopped (No module named 'noting_sink'); the metrics are in ")


def test_all_mirrors_share_one_patience(
    tmp_path: Path, links: list[MirrorLink], monkeypatch: pytest.MonkeyPatch
) -> None:
    from ganforge.outputs.mirror.mirrors import Mirrors

    run = RunFolder.create(tmp_path / "run", {}, {})
    three = [MirrorLink.start(run, Noted(manner="hangs"), run.trackers / str(n)) for n in range(3)]
    waits: list[float] = []
    for link in three:
        process = link.process
        assert process is not None
        monkeypatch.setattr(process, "wait", lambda seconds=None: waits.append(seconds) or time.sleep(0.05))
    lines = Mirrors(three).finish(0.1)
    monkeypatch.undo()
    assert len(lines) == 3 and waits == sorted(waits, reverse=True) and waits[-1] < 0.1


def test_the_tracker_of_the_documentation(
    tmp_path: Path, links: list[MirrorLink], monkeypatch: pytest.MonkeyPatch
) -> None:
    component, sink = (
        each.text for each in blocks(ROOT / "docs" / "trackers.md") if each.language == "python"
    )
    (tmp_path / "modules" / "acme_tracker.py").write_text(component)
    (tmp_path / "modules" / "acme_sink.py").write_text(sink)
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))
    tracker = importlib.import_module("acme_tracker").TextFile()
    config = toy_config().model_copy(update={"trackers": (tracker,)})
    outcome = start(config, tmp_path / "run", toy_registry(), StopRequest(), "test")
    file = tmp_path / "run" / "trackers" / "acme_text" / "rows.txt"
    assert outcome.lines == [f"acme_text: {file}"]
    assert [line.split()[0] for line in file.read_text().splitlines()] == ["8", "16", "24", "32", "40", "48"]


TRACKERS = sorted(installed().of("trackers").items())


@pytest.mark.parametrize(("name", "kind"), TRACKERS)
def test_every_tracker_names_a_sink_that_is_one(name: str, kind: type[Tracker]) -> None:
    module, _, attribute = kind.sink.partition(":")
    sink = getattr(importlib.import_module(module), attribute)
    for method, expected in inspect.getmembers(Sink, inspect.isfunction):
        if not method.startswith("_"):
            own = inspect.signature(getattr(sink, method))
            assert list(own.parameters) == list(inspect.signature(expected).parameters), f"{name}.{method}"
    for method in ("open", "retreat"):
        own, expected = (inspect.signature(getattr(each, method)) for each in (sink, Sink))
        assert list(own.parameters) == list(expected.parameters), f"{name}.{method}"
    assert isinstance(sink.purges, bool)


def test_there_are_trackers() -> None:
    assert {"accelerate", "tensorboard", "wandb"} <= {name for name, _ in TRACKERS}


def test_a_tracker_that_nobody_provides() -> None:
    with pytest.raises(UserError) as error:
        toy_config(trackers=[{"type": "tensorbord"}])
    assert "no tracker is called 'tensorbord'; did you mean 'tensorboard'?" in str(error.value)


@pytest.mark.slow
def test_a_service_through_accelerate(tmp_path: Path, links: list[MirrorLink]) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    config = toy_config().model_copy(update={"trackers": (Accelerate(service="tensorboard"),)})
    outcome = start(config, tmp_path / "run", toy_registry(), StopRequest(), "test")
    assert outcome.lines == ["accelerate: recorded on tensorboard"]
    found = EventAccumulator(str(tmp_path / "run" / "trackers" / "accelerate" / "run"))
    found.Reload()
    assert [event.step for event in found.Scalars("loss/d")] == [8, 16, 24, 32, 40, 48]


@pytest.mark.slow
def test_a_service_that_accelerate_does_not_know(tmp_path: Path, links: list[MirrorLink]) -> None:
    config = toy_config().model_copy(update={"trackers": (Accelerate(service="mlfow"),)})
    outcome = start(config, tmp_path / "run", toy_registry(), StopRequest(), "test")
    assert outcome.lines[0].startswith(
        "accelerate: the mirror stopped (Accelerate has no tracker 'mlfow' (it has: "
    )
