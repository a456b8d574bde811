"""The bar on a terminal, and the lines in a log."""

from __future__ import annotations

import io
import json
import math
import sys
import types

import pytest

from ganforge.outputs import progress
from ganforge.outputs.progress import Progress, duration, track

ROW = {"images_seen": 12_800, "images_per_second": 41.2, "loss/d": 0.6914, "loss/g": 0.7099, "lr/d": 1e-4}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")


def test_plain_line_for_each_row() -> None:
    stream = io.StringIO()
    shown = Progress(3_600_000, stream)
    shown.update(6_400, {**ROW, "images_per_second": 2.0})
    shown.update(12_800, ROW)
    shown.update(12_900, {})
    shown.update(25_600, {"images_seen": 25_600, "metric/sliced_wasserstein": 0.01234567})
    shown.say("saved checkpoint")
    shown.close()
    # (3,600,000 - 12,800) / 41.2 s = 87,068 s = 24 h 11 min 8 s
    assert stream.getvalue().splitlines() == [
        # Of the first row, which includes what happens once, no time left is inferred.
        "6,400/3,600,000 images  2.0 images/s  loss_d 0.69  loss_g 0.71",
        "12,800/3,600,000 images  41.2 images/s  eta 24h11m  loss_d 0.69  loss_g 0.71",
        "25,600/3,600,000 images  41.2 images/s  eta 24h05m  sliced_wasserstein 0.0123",
        "saved checkpoint",
    ]


def test_plain_line_of_a_run_in_trouble() -> None:
    stream = io.StringIO()
    Progress(100, stream).update(10, {"loss/d": math.nan, "loss/g": 123456.0, "loss/x": None})
    assert stream.getvalue() == "10/100 images  loss_d nan  loss_g 1.23e+05\n"


def test_bar_shows_where_it_is_the_losses_and_the_last_metric() -> None:
    stream = Terminal()
    shown = Progress(3_600_000, stream, start=6_400)
    shown.update(6_400, {"metric/fid": 31.25, "images_per_second": 2.0})
    shown.update(12_800, ROW)
    shown.close()
    last = stream.getvalue().split("\r")[-1]
    assert "12,800/3,600,000 images" in last
    assert "41.2 images/s  eta 24h11m  loss_d 0.69  loss_g 0.71  fid 31.25" in last


def test_what_only_says_something_has_no_bar() -> None:
    stream = Terminal()
    speaking, shown = Progress(100, stream), Progress(100, stream)
    speaking.say("data: 100 images")
    shown.update(50, ROW)
    shown.close()
    assert stream.getvalue().startswith("data: 100 images\n\r")
    # A second bar would be drawn below the first one.
    assert "\x1b[A" not in stream.getvalue()


def test_at_60_columns_the_losses_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    stream = Terminal()
    shown = Progress(3_600_000, stream)
    shown.update(6_400, {"metric/fid": 31.25, "images_per_second": 2.0})
    shown.update(12_800, ROW)
    shown.close()
    last = stream.getvalue().split("\r")[-1].strip()
    assert last.startswith("0%, loss_d 0.69  loss_g 0.71  fid 31.25  eta 24h11m")
    assert max(map(len, stream.getvalue().split("\r"))) <= 60


def test_as_json_each_line_is_an_object(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANFORGE_LOG_FORMAT", "json")
    stream = Terminal()
    shown = Progress(100, stream)
    shown.say("data: a\x1b.png")
    shown.update(10, {})
    shown.update(20, {"images_seen": 20, "loss/d": math.nan, "loss/g": 1.5})
    shown.close()
    assert [json.loads(line) for line in stream.getvalue().splitlines()] == [
        {"event": "message", "text": "data: a\\x1b.png"},
        {"event": "row", "images": 100, "images_seen": 20, "loss/d": None, "loss/g": 1.5},
    ]


def test_quietly_only_messages_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANFORGE_LOG_FORMAT", "quiet")
    stream = Terminal()
    shown = Progress(100, stream)
    shown.update(20, ROW)
    shown.say("warning: x")
    assert stream.getvalue() == "warning: x\n"


def test_a_row_of_metrics_does_not_push_the_losses_off_the_bar() -> None:
    stream = Terminal()
    progress = Progress(1000, stream)
    progress.update(100, {"images_per_second": 10.0, "loss/d": 0.5, "loss/g": 2.0})
    progress.update(100, {"metric/modes": 8.0})
    progress.close()
    last = stream.getvalue().split("\r")[-1]
    assert "loss_d 0.50  loss_g 2.00  modes 8.00" in last


def test_a_line_does_not_tear_the_bar() -> None:
    stream = Terminal()
    shown = Progress(100, stream)
    shown.update(50, {"loss/d": 0.5})
    shown.say("saved checkpoint")
    shown.close()
    lines = [line.split("\r")[-1] for line in stream.getvalue().split("\n")]
    assert "saved checkpoint" in lines
    assert "50/100 images" in lines[-1] or "50/100 images" in lines[-2]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59.4, "59s"), (59.6, "1m00s"), (303, "5m03s"), (3600, "1h00m"), (87_120, "24h12m")],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_track_passes_everything_on_and_is_silent_if_quick(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(track(iter(range(5)), 5, "decoding")) == [0, 1, 2, 3, 4]
    assert capsys.readouterr().err == ""


def test_slow_track_says_one_line_in_a_log(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "PATIENCE_S", -1.0)
    assert list(track("abc", 3, "decoding")) == ["a", "b", "c"]
    assert capsys.readouterr().err == "decoding: 0 of 3\n"


def test_slow_track_is_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    assert list(track("abc", 3, "decoding")) == ["a", "b", "c"]
    assert stream.getvalue().strip() == ""
    monkeypatch.setattr(progress, "PATIENCE_S", 0.0)
    assert list(track("abc", 3, "decoding")) == ["a", "b", "c"]
    assert "decoding:" in stream.getvalue()


def test_a_notebook_has_a_bar_although_it_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    shell = type("ZMQInteractiveShell", (), {})()
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    stream = io.StringIO()
    shown = Progress(25_600, stream)
    for seen in (12_800, 25_600):
        shown.update(seen, ROW)
    shown.close()
    assert stream.getvalue().count("\n") == 1 and "\r" in stream.getvalue()
    assert "25,600/25,600 images" in stream.getvalue()
    other = types.SimpleNamespace(get_ipython=lambda: None)
    monkeypatch.setitem(sys.modules, "IPython", other)
    stream = io.StringIO()
    Progress(25_600, stream).update(12_800, ROW)
    assert "\r" not in stream.getvalue()


def test_what_must_end_by_a_deadline_ends_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress.time, "monotonic", lambda: 1000.0)
    for deadline, text in ((1030.0, "eta 30s"), (990.0, "eta 0s"), (10_000.0, "eta 1m40s")):
        stream = io.StringIO()
        Progress(1_000, stream, deadline=deadline).update(0, {"images_per_second": 10.0})
        assert text in stream.getvalue()
