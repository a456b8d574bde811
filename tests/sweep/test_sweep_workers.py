"""Sweeps with real training: continued after a signal, and shared by workers on PostgreSQL, one of
which is killed."""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.deferred import deferred

deferred("optuna", reason="a sweep needs Optuna: pip install 'ganforge[sweep]'")

RUN = """
[data]
type = "toy2d"

[prior]
type = "normal"
dim = 2

[nets]
type = "mlp"
g_hidden = [16, 16]
d_hidden = [16, 16]

[generator.optimizer]
type = "adam"

[train]
images = 8_192
batch_size = 16
device = "cpu"

[[metrics]]
type = "modes"
every = 4_096
samples = 500

[logging]
every = 1_024
grid_every = 0
checkpoint_every = 1_024

[health]
samples = 0

[wandb]
mode = "disabled"
"""

SWEEP = """
run = "run.toml"
trials = {trials}

[objective]
metric = "modes"
direction = "maximize"

[sampler]
type = "random"

[storage]
type = "{storage}"
grace_s = 3.0

[[parameters]]
key = "generator.optimizer.lr"
kind = "float"
low = 1e-4
high = 1e-2
log = true
"""

WAIT_S = 240.0


def prepare(place: Path, storage: str, trials: int) -> None:
    (place / "run.toml").write_text(RUN)
    (place / "s.toml").write_text(SWEEP.format(storage=storage, trials=trials))


def start(place: Path, name: str, **environment: str) -> subprocess.Popen[str]:
    """A worker; what it says goes to a file of its name."""
    scene = {"XDG_CACHE_HOME": str(place / "cache"), "OMP_NUM_THREADS": "1", **environment}
    with (place / name).open("w") as said:
        return subprocess.Popen(
            [sys.executable, "-m", "ganforge", "sweep", "s.toml"],
            cwd=place,
            env={**os.environ, **scene},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            text=True,
        )


def until(what: Callable[[], Any], place: Path, *workers: subprocess.Popen[str]) -> None:
    """Waits for `what` while all the workers are at it."""
    give_up = time.monotonic() + WAIT_S
    while not what():
        said = [file.read_text() for file in (*place.glob("worker*"), *place.glob("sweeps/s/logs/*"))]
        assert all(worker.poll() is None for worker in workers), said
        assert time.monotonic() < give_up, said
        time.sleep(0.05)


def rows(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def losses_seen(run: Path) -> list[int]:
    return [row["images_seen"] for row in rows(run) if "loss/g" in row]


DUE = [16, *range(1_024, 8_193, 1_024)]
"""Images at which a whole run has a row: its first iteration, and every 1,024."""


@pytest.mark.slow
def test_a_sweep_goes_on_after_sigterm(tmp_path: Path) -> None:
    prepare(tmp_path, "sqlite", trials=2)
    runs = tmp_path / "sweeps" / "s" / "trials"
    worker = start(tmp_path, "worker one")
    until(lambda: list(runs.glob("0000/checkpoints/0*")), tmp_path, worker)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(WAIT_S) == 75, (tmp_path / "worker one").read_text()
    said = (tmp_path / "worker one").read_text()
    assert "stopped (SIGTERM received): 1 trials (1 running)" in said
    assert "continue it:  ganforge sweep s.toml" in said
    assert losses_seen(runs / "0000") != DUE
    assert start(tmp_path, "worker two").wait(WAIT_S) == 0
    said = (tmp_path / "worker two").read_text()
    assert "trial 0 continues: generator.optimizer.lr=" in said
    assert "finished: 2 trials (2 complete); the report is sweeps/s/report.html" in said
    assert [losses_seen(run) for run in sorted(runs.iterdir())] == [DUE, DUE]
    (resumed,) = json.loads((runs / "0000" / "run.json").read_text())["resumes"]
    assert resumed["not_exact_because"] == []


@pytest.fixture
def postgresql(tmp_path: Path) -> Iterator[str]:
    """The URL of a server of its own, on loopback; skips where PostgreSQL or its driver is missing."""
    pytest.importorskip("psycopg", reason="no driver: pip install 'psycopg[binary]'")
    found = [shutil.which("initdb"), *sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin/initdb")))]
    tools = next((Path(tool).resolve().parent for tool in found if tool), None)
    if tools is None:
        pytest.skip("no PostgreSQL here: apt-get install postgresql")
    user: dict[str, Any] = {}
    folder = Path(tmp_path)
    if os.getuid() == 0:
        # The server refuses to be root.
        try:
            account = pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("PostgreSQL does not run as root, and there is no user 'postgres'")
        user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        folder = Path("/tmp") / f"ganforge-postgresql-{os.getpid()}"
        folder.mkdir()
        os.chown(folder, account.pw_uid, account.pw_gid)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data, options = str(folder / "data"), f"-h 127.0.0.1 -p {port} -k {folder} -F"
    quiet: dict[str, Any] = {
        "check": True,
        "cwd": folder,
        "stdout": subprocess.DEVNULL,
        "timeout": WAIT_S,
        **user,
    }
    try:
        subprocess.run([tools / "initdb", "-D", data, "-U", "sweeper", "-A", "trust"], **quiet)
        log = str(folder / "log")
        subprocess.run([tools / "pg_ctl", "-D", data, "-o", options, "-l", log, "-w", "start"], **quiet)
        try:
            yield f"postgresql://sweeper@127.0.0.1:{port}/postgres"
        finally:
            subprocess.run([tools / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop"], **quiet)
    finally:
        if user:
            shutil.rmtree(folder)


@pytest.mark.slow
def test_two_workers_on_postgresql_lose_nothing_when_one_is_killed(tmp_path: Path, postgresql: str) -> None:
    prepare(tmp_path, "postgresql", trials=4)
    runs = tmp_path / "sweeps" / "s" / "trials"
    workers = [start(tmp_path, name, GANFORGE_SWEEP_URL=postgresql) for name in ("worker one", "worker two")]
    logs = [tmp_path / "worker one", tmp_path / "worker two"]
    until(lambda: all(" starts" in log.read_text() for log in logs), tmp_path, *workers)
    first = int(logs[0].read_text().split("trial ")[1].split()[0])
    until(lambda: list(runs.glob(f"{first:04d}/checkpoints/0*")), tmp_path, *workers)
    workers[0].kill()
    workers[0].wait()
    mine = re.findall(r"trial (\d+) starts", logs[0].read_text())[-1]
    assert workers[1].wait(WAIT_S) == 0, (tmp_path / "worker two").read_text()
    said = (tmp_path / "worker two").read_text()
    assert "finished: 4 trials (4 complete)" in said, said
    assert f"trial {mine} continues" in said
    assert sorted(run.name for run in runs.iterdir()) == ["0000", "0001", "0002", "0003"]
    assert [losses_seen(run) for run in sorted(runs.iterdir())] == [DUE] * 4
    assert "postgresql://" not in "".join(log.read_text() for log in logs)
