"""Signals, killed processes and restarts, with real processes over gloo."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.hangups import hangups
from support.two_processes_run import (
    GANFORGE,
    PATIENCE_S,
    STARTED,
    checkpoints,
    environment,
    start,
    torchrun,
    wait_for,
    workers,
)
from support.two_processes_run import write_run_file as run_file


@pytest.fixture(autouse=True)
def nobody_stays() -> Iterator[None]:
    """A test that fails leaves no run behind."""
    yield
    while STARTED:
        launcher = STARTED.pop()
        if launcher.poll() is None:
            for pid in (*workers(launcher.pid).values(), launcher.pid):
                os.kill(pid, signal.SIGKILL)
            launcher.wait()


def under_way(folder: Path, *arguments: object) -> subprocess.Popen[str]:
    """A run that has written a checkpoint by now."""
    launcher = start(*arguments, cwd=folder)
    wait_for(folder / "run" / "checkpoints" / "0*", launcher, folder)
    return launcher


def rows(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "run" / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize(
    "number",
    [
        signal.SIGTERM,
        signal.SIGHUP,
        pytest.param(signal.SIGINT, marks=pytest.mark.slow),
        pytest.param(signal.SIGUSR1, marks=pytest.mark.slow),
    ],
)
def test_a_signal_to_the_parent_ends_all_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    command = (*GANFORGE, "run", run_file(tmp_path), "--out", "run", "--processes", 2)
    with hangups(signal.SIG_DFL):
        launcher = under_way(tmp_path, *command)
    pids = workers(launcher.pid)
    launcher.send_signal(number)
    assert launcher.wait(PATIENCE_S) == 75, (tmp_path / "err.txt").read_text()[-3000:]
    assert sorted(pids) == [0, 1]
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids.values())
    lines = (tmp_path / "out.txt").read_text().splitlines()
    assert lines[0].startswith(f"stopped ({number.name} received) after ")
    assert len(lines) == 4, "only one process speaks"
    seen = int(lines[0].split(" after ")[1].split(" images")[0].replace(",", ""))
    assert checkpoints(tmp_path / "run")[-1] == f"{seen:012d}"


@pytest.mark.slow
def test_a_hangup_that_is_ignored_stops_nothing(tmp_path: Path) -> None:
    command = (*GANFORGE, "run", run_file(tmp_path), "--out", "run", "--processes", 2)
    # What `nohup` does; it is inherited.
    with hangups(signal.SIG_IGN):
        launcher = under_way(tmp_path, *command)
    for pid in (launcher.pid, *workers(launcher.pid).values()):
        os.kill(pid, signal.SIGHUP)
    newest = checkpoints(tmp_path / "run")[-1]
    give_up = time.monotonic() + PATIENCE_S
    while checkpoints(tmp_path / "run")[-1] == newest:
        assert launcher.poll() is None and time.monotonic() < give_up
        time.sleep(0.05)
    launcher.send_signal(signal.SIGTERM)
    assert launcher.wait(PATIENCE_S) == 75, (tmp_path / "err.txt").read_text()[-3000:]
    assert (tmp_path / "out.txt").read_text().startswith("stopped (SIGTERM received) after ")


@pytest.mark.slow
def test_a_signal_to_one_process_ends_all_cleanly(tmp_path: Path) -> None:
    command = (*GANFORGE, "run", run_file(tmp_path), "--out", "run", "--processes", 2)
    launcher = under_way(tmp_path, *command)
    os.kill(workers(launcher.pid)[1], signal.SIGTERM)
    assert launcher.wait(PATIENCE_S) == 75, (tmp_path / "err.txt").read_text()[-3000:]
    out = (tmp_path / "out.txt").read_text()
    assert out.startswith("stopped (another process of the run was asked to stop) after ")
    assert out.count("ganforge report") == 1


@pytest.mark.slow
def test_a_killed_process_is_named_and_the_run_can_go_on(tmp_path: Path) -> None:
    command = (*GANFORGE, "run", run_file(tmp_path), "--out", "run", "--processes", 2)
    launcher = under_way(tmp_path, *command)
    pids = workers(launcher.pid)
    os.kill(pids[1], signal.SIGKILL)
    assert launcher.wait(PATIENCE_S) == 1
    assert (
        f"process 1 of the run (pid {pids[1]}) was killed by SIGKILL; the others were terminated; "
        "'ganforge resume' continues from the newest checkpoint"
    ) in (tmp_path / "err.txt").read_text().splitlines()
    assert not Path(f"/proc/{pids[0]}").exists()
    assert checkpoints(tmp_path / "run")


@pytest.mark.slow
def test_the_processes_stop_cleanly_when_their_launcher_is_killed(tmp_path: Path) -> None:
    command = (*GANFORGE, "run", run_file(tmp_path), "--out", "run", "--processes", 2)
    launcher = under_way(tmp_path, *command)
    pids = workers(launcher.pid)
    launcher.kill()
    launcher.wait()
    deadline = time.monotonic() + PATIENCE_S
    while any(Path(f"/proc/{pid}").exists() for pid in pids.values()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    lines = (tmp_path / "out.txt").read_text().splitlines()
    assert lines[0].startswith("stopped (SIGTERM received) after ")
    seen = int(lines[0].split(" after ")[1].split(" images")[0].replace(",", ""))
    assert checkpoints(tmp_path / "run")[-1] == f"{seen:012d}"


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        place = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
        env = environment(**place, MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
        process = start(*GANFORGE, "run", run_file(tmp_path), "--out", "run", cwd=tmp_path, env=env)
        assert process.wait(PATIENCE_S) == 2
    assert (tmp_path / "err.txt").read_text().splitlines()[-1] == (
        f"process 0 cannot listen on port {port} of 127.0.0.1, which another program uses; set MASTER_PORT "
        "to a free port in all processes of the run"
    )
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_process_does_not_wait_for_another_program_for_ever(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        place = {"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
        env = environment(**place, MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
        more = ("--out", "run", "--set", "train.timeout_s=3.0")
        process = start(*GANFORGE, "run", run_file(tmp_path), *more, cwd=tmp_path, env=env)
        assert process.wait(PATIENCE_S) == 4
    assert (tmp_path / "err.txt").read_text().splitlines()[-1] == (
        "process 1: could not join the run within 9 s; check that process 0 is running, and that no other "
        f"program listens on port {port} of 127.0.0.1"
    )


@pytest.mark.slow
def test_a_run_goes_on_after_a_kill(tmp_path: Path) -> None:
    command = (*GANFORGE, "run", run_file(tmp_path), "--out", "run", "--processes", 2)
    launcher = under_way(tmp_path, *command)
    os.kill(workers(launcher.pid)[0], signal.SIGKILL)
    assert launcher.wait(PATIENCE_S) == 1
    newest = int(checkpoints(tmp_path / "run")[-1])
    more = ("--set", f"train.images={newest + 80}")
    again = start(*GANFORGE, "resume", "run", *more, "--processes", 2, cwd=tmp_path)
    assert again.wait(PATIENCE_S) == 0, (tmp_path / "err.txt").read_text()[-3000:]
    assert rows(tmp_path)[-1]["images_seen"] == newest + 80


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_torchrun_names_a_killed_process(tmp_path: Path, rank: int) -> None:
    launcher = under_way(tmp_path, *torchrun(), "run", run_file(tmp_path), "--out", "run")
    os.kill(workers(launcher.pid)[rank], signal.SIGKILL)
    assert launcher.wait(PATIENCE_S) == 1
    errors = (tmp_path / "err.txt").read_text()
    root_cause = errors[errors.index("Root Cause") :]
    assert f"rank      : {rank} (local_rank: {rank})" in root_cause
    assert "Signal 9 (SIGKILL)" in root_cause
    assert checkpoints(tmp_path / "run")


@pytest.mark.slow
def test_torchrun_restarts_and_the_run_goes_on_by_itself(tmp_path: Path) -> None:
    command = ("run", run_file(tmp_path), "--out", "run", "--set", "train.resume=auto")
    launcher = under_way(tmp_path, *torchrun("--max-restarts", "1"), *command)
    first = workers(launcher.pid)
    os.kill(first[1], signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE_S
    resumed = "continues exactly at "
    while resumed not in (tmp_path / "err.txt").read_text():
        assert time.monotonic() < deadline, (tmp_path / "err.txt").read_text()[-3000:]
        assert launcher.poll() is None
        time.sleep(0.1)
    newest = int(checkpoints(tmp_path / "run")[-1])
    while int(checkpoints(tmp_path / "run")[-1]) <= newest:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert set(workers(launcher.pid).values()).isdisjoint(first.values())
    launcher.terminate()
    launcher.wait(PATIENCE_S)


@pytest.mark.slow
def test_a_hung_process_ends_the_run(tmp_path: Path) -> None:
    command = (*GANFORGE, "run", run_file(tmp_path), "--out", "run", "--processes", 2)
    launcher = under_way(tmp_path, *command, "--set", "train.timeout_s=5.0")
    pids = workers(launcher.pid)
    os.kill(pids[1], signal.SIGSTOP)
    assert launcher.wait(PATIENCE_S) == 4
    errors = (tmp_path / "err.txt").read_text()
    assert "process 0 of 2 exits: another process has exited or does not respond (" in errors
    assert (
        f"process 1 of the run (pid {pids[1]}) hung, and was killed; the others were terminated; " in errors
    )
    assert checkpoints(tmp_path / "run")


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2)])
def test_a_run_goes_on_in_another_number_of_processes(tmp_path: Path, before: int, after: int) -> None:
    first = ("run", run_file(tmp_path), "--out", "run", "--set", "train.images=800", "--processes", before)
    assert start(*GANFORGE, *first, cwd=tmp_path).wait(PATIENCE_S) == 0
    more = ("resume", "run", "--set", "train.images=1600", "--processes", after)
    assert start(*GANFORGE, *more, cwd=tmp_path).wait(PATIENCE_S) == 0, (tmp_path / "err.txt").read_text()
    assert "continues at 800 images; not exact, because: " in (tmp_path / "err.txt").read_text()
    assert [row["images_seen"] for row in rows(tmp_path)] == [8, 800, 1600]
