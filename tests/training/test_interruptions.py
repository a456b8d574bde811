"""Being interrupted: whenever a signal comes, what is left is intact, or nothing."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ganforge.engine.checkpoint import checkpoint
from ganforge.engine.distributed.stop_request import Interrupted, StopRequest
from ganforge.outputs.metrics_log import MetricsLog
from support.command_line import EXAMPLE, TINY, call, contents, sets
from support.hangups import hangups
from support.records import logged
from support.trained import AUTO, auto
from support.trained import place as place
from support.trained import trained as trained


def test_a_run_that_goes_on_leaves_no_row_out_and_none_twice(place: Path) -> None:
    log = place / "mine" / "metrics.jsonl"
    rows = log.read_text()
    # Killed after rows beyond the checkpoint, in the middle of one.
    log.write_text(
        rows
        + rows.replace('"images_seen": 64', '"images_seen": 96').splitlines()[1]
        + '\n{"iteration": 4, "im'
    )
    done = call(place, "resume", "mine", *sets("train.images=128"))
    assert done.code == 0
    assert [row["images_seen"] for row in logged(place / "mine")] == [32, 64, 96, 128]
    assert log.read_text().startswith(rows)


def test_a_signal_while_data_are_opened_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(*arguments: object) -> None:
        os.kill(os.getpid(), signal.SIGUSR1)
        time.sleep(30)

    monkeypatch.setattr("ganforge.training.session.load_samples", slow)
    done = call(tmp_path, "run", EXAMPLE, "--out", "mine", *sets(*TINY))
    assert (done.code, done.out) == (75, "")
    assert (
        done.err
        == "stopped (SIGUSR1 received) during setup; nothing was written. Run the same command again\n"
    )
    assert contents(tmp_path) == {}


def test_a_second_interrupt_stops_at_once() -> None:
    stop = StopRequest()
    with stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop and stop.reason == "SIGTERM received"
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt) as caught:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)
        assert not isinstance(caught.value, Interrupted)


def test_the_first_signal_is_answered_at_once(capfd: pytest.CaptureFixture[str]) -> None:
    with StopRequest():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
    assert capfd.readouterr().err == (
        "\nSIGINT received: stopping after this iteration, with a checkpoint; a second Ctrl-C stops at once and "
        "loses what was trained since the last one\n"
    )


def interrupt_twice(monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """Two Ctrl-C when the row of this many images is written."""
    append = MetricsLog.append

    def append_and_interrupt(log: MetricsLog, row: dict[str, Any]) -> None:
        append(log, row)
        if row["images_seen"] == at:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(MetricsLog, "append", append_and_interrupt)


def test_the_second_interrupt_says_what_is_lost(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt_twice(monkeypatch, at=96)
    done = call(place, "resume", "mine", *sets("train.images=128"))
    assert (done.code, done.out) == (130, "")
    assert done.err.splitlines()[-1] == (
        "stopped at once after 96 images: the 32 since the checkpoint at 64 are lost; to continue:  ganforge "
        "resume mine"
    )


def test_before_the_first_checkpoint_all_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt_twice(monkeypatch, at=32)
    done = call(tmp_path, "run", EXAMPLE, "--out", "mine", *sets(*TINY))
    assert done.code == 130
    assert done.err.splitlines()[-1] == (
        "stopped at once after 32 images, before the first checkpoint: all of them are lost; 'ganforge run' "
        "starts again"
    )


def test_a_run_folder_that_moves_away_ends_the_run_with_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = MetricsLog.append

    def append_and_move(log: MetricsLog, row: dict[str, Any]) -> None:
        append(log, row)
        if row["images_seen"] == 32:
            (tmp_path / "mine").rename(tmp_path / "moved")

    monkeypatch.setattr(MetricsLog, "append", append_and_move)
    done = call(tmp_path, "run", EXAMPLE, "--out", "mine", *sets(*TINY, "logging.checkpoint_every=32"))
    assert done.code == 2
    assert done.err.splitlines()[-1] == "run folder mine was moved or deleted while it was trained"
    assert not (tmp_path / "mine").exists()


def test_a_signal_from_before_cuts_short_at_once() -> None:
    stop = StopRequest()
    with stop:
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(Interrupted), stop.cut_short():
            pytest.fail("got inside")
    assert not StopRequest(max_minutes=1000)
    with StopRequest(max_minutes=1e-9) as late, late.cut_short():
        assert late


def test_a_hangup_stays_ignored_where_it_was() -> None:
    with hangups(signal.SIG_IGN), StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGHUP)
        assert not stop
    with hangups(signal.SIG_DFL):
        with StopRequest() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert stop and stop.reason == "SIGHUP received"
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_DFL


def test_a_run_whose_terminal_is_closed_stops_with_a_checkpoint(tmp_path: Path) -> None:
    ours, terminal = pty.openpty()
    command = [sys.executable, "-m", "ganforge", "run", str(EXAMPLE), "--out", "mine",
               *sets(*TINY, "train.images=1_000_000")]  # fmt: skip
    scene = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / ".cache"), "OMP_NUM_THREADS": "1"}
    # Its own output is the terminal, but it is not the terminal's session: the signal comes from here.
    with hangups(signal.SIG_DFL):
        process = subprocess.Popen(
            command, cwd=tmp_path, env=scene, stdin=subprocess.DEVNULL, stdout=terminal, stderr=terminal
        )
    drain = threading.Thread(target=_drain, args=(ours,), daemon=True)
    drain.start()
    os.close(terminal)
    try:
        until(lambda: (tmp_path / "mine" / "metrics.jsonl").exists(), process)
        process.send_signal(signal.SIGSTOP)
        process.send_signal(signal.SIGHUP)
        os.close(ours)
        process.send_signal(signal.SIGCONT)
        assert process.wait(timeout=60) == 75
    finally:
        process.kill()
        process.wait()
    checkpoint.load_newest(tmp_path / "mine" / "checkpoints", pytest.fail)


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a run in a process of its own; it is dead at the end of the test."""
    started: list[subprocess.Popen[str]] = []

    def start(*overrides: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "ganforge", "run", str(EXAMPLE), "--out", "mine",
                   *sets(*TINY, "train.images=1_000_000", AUTO, *overrides)]  # fmt: skip
        scene = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / ".cache"), "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(
            command, cwd=tmp_path, env=scene, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def _drain(descriptor: int) -> None:
    with contextlib.suppress(OSError):
        while os.read(descriptor, 4096):
            pass


def until(true: Callable[[], bool], process: subprocess.Popen[Any]) -> None:
    give_up = time.monotonic() + 60
    while not true():
        assert process.poll() is None and time.monotonic() < give_up
        time.sleep(0.01)


def test_a_second_interrupt_during_a_save_leaves_a_sound_run(
    tmp_path: Path, child: Callable[..., subprocess.Popen[str]]
) -> None:
    process = child("logging.checkpoint_every=32")
    folder = tmp_path / "mine" / "checkpoints"
    until(lambda: bool(checkpoint.complete(folder)), process)
    for _ in range(2):
        process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    # Both may come before Python has handled the first; then it is one.
    assert process.returncode in (130, 75)
    checkpoint.load_newest(folder, pytest.fail)
    seen = int(checkpoint.complete(folder)[-1].name) + 32
    done = auto(tmp_path, f"train.images={seen}", "logging.checkpoint_every=32")
    assert done.code == 0
    assert list(folder.glob(".*")) == []
