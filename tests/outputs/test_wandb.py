"""The W&B mirror: what it records, and that no trouble of its own reaches the trainer.

The servers here are on the loopback address; no other is ever contacted.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ganforge.outputs.metrics_log import MetricsLog, truncate_after
from ganforge.outputs.mirror.files import MirrorStatus
from ganforge.outputs.mirror.link import MirrorLink
from ganforge.outputs.run_folder import RunFolder
from ganforge_trackers.wandb import Mode, Wandb
from support.waiting import wait_until
from support.wandb_records import history, records
from support.wandb_server import Server

KEY = "0123456789" * 4
TRAINER = """
import os, sys
from pathlib import Path
from ganforge.outputs.metrics_log import MetricsLog
from ganforge.outputs.run_folder import RunFolder
from ganforge.outputs.mirror.link import MirrorLink
from ganforge_trackers.wandb import Wandb
run = RunFolder.open(Path(sys.argv[1]))
link = MirrorLink.start(run, Wandb(project="p"), run.wandb)
MetricsLog(run.metrics).append({"images_seen": 64, "loss/d": 0.5})
os.kill(os.getpid(), 9)
"""


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Server]]:
    servers = []

    def start(manner: str) -> Server:
        server = Server(manner)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.server_port}")
        return server

    yield start
    for server in servers:
        server.over.set()
        server.shutdown()
        server.server_close()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """A run folder, and an environment in which W&B knows nothing of this machine's user."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    # Nothing listens on port 9: what is not meant to be online finds nobody.
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    return RunFolder.create(tmp_path / "run", {"seed": 1}, {})


@pytest.fixture
def start(run: RunFolder) -> Iterator[Callable[..., MirrorLink]]:
    links = []

    def begin(
        mode: Mode = "offline", run_id: str | None = None, config: Any = None, **more: Any
    ) -> MirrorLink:
        tracker = Wandb(mode=mode, project="p", **more)
        links.append(MirrorLink.start(run, tracker, run.wandb, config, run_id))
        return links[-1]

    yield begin
    for link in links:
        if link.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(link.process.pid, signal.SIGKILL)
            link.process.wait()


def write_rows(run: RunFolder, *images_seen: int) -> None:
    log = MetricsLog(run.metrics)
    for seen in images_seen:
        log.append({"images_seen": seen, "loss/d": seen / 128})


def status_of(run: RunFolder) -> MirrorStatus:
    return MirrorStatus.load(run.wandb / "status.json")


def offline_folders(run: RunFolder) -> list[Path]:
    return sorted(run.wandb.glob("offline-run-*"))


def test_offline_record_holds_every_row_and_grid(run: RunFolder, start: Any) -> None:
    link = start(name="n", tags=("a",), config={"seed": 1})
    write_rows(run, 64, 128)
    MetricsLog(run.metrics).append({"images_seen": 192, "loss/d": math.inf, "metric/fid": 3.5})
    Image.new("RGB", (16, 16)).save(run.grid(128))
    line = link.finish(300)

    (folder,) = offline_folders(run)
    assert line == f"W&B: recorded offline; to upload: wandb sync {run.wandb / folder.name}"
    rows = history(folder)
    assert [row for row in rows if not any(key.startswith("grid") for key in row)] == [
        {"images_seen": 64, "loss/d": 0.5},
        {"images_seen": 128, "loss/d": 1.0},
        {"images_seen": 192, "loss/d": pytest.approx(math.nan, nan_ok=True), "metric/fid": 3.5},
    ]
    (grid,) = [row for row in rows if any(key.startswith("grid") for key in row)]
    assert grid["images_seen"] == 128
    assert len(list(folder.glob("files/media/images/*.png"))) == 1
    (began,) = [record.run for record in records(folder) if record.HasField("run")]
    assert (began.project, began.display_name, list(began.tags)) == ("p", "n", ["a"])
    assert {item.key: item.value_json for item in began.config.update}["seed"] == "1"
    assert [record.exit.exit_code for record in records(folder) if record.HasField("exit")] == [0]


def test_a_resumed_run_is_one_run_and_no_row_is_twice(run: RunFolder, start: Any) -> None:
    write_rows(run, 64, 128, 128, 192)
    start().finish(300)
    # Resumed from a checkpoint at 64; the new rows are the old ones and two more.
    truncate_after(run.metrics, 64)
    write_rows(run, 128, 128, 192, 192, 256)
    start().finish(300)

    first, second = offline_folders(run)
    seen = [row["images_seen"] for folder in (first, second) for row in history(folder)]
    assert seen == [64, 128, 128, 192, 192, 256]
    assert first.name.rpartition("-")[2] == second.name.rpartition("-")[2]


def test_a_killed_trainer_leaves_a_whole_record_marked_crashed(run: RunFolder) -> None:
    trainer = subprocess.run([sys.executable, "-c", TRAINER, str(run.path)], check=False)
    assert trainer.returncode == -signal.SIGKILL
    wait_until(lambda: status_of(run).finished)
    (folder,) = offline_folders(run)
    assert history(folder) == [{"images_seen": 64, "loss/d": 0.5}]
    assert [record.exit.exit_code for record in records(folder) if record.HasField("exit")] == [1]


def test_online_rows_arrive_and_the_line_is_the_url(run: RunFolder, start: Any, serve: Any) -> None:
    server = serve("works")
    link = start("online", run_id="abc")
    write_rows(run, 64, 128)
    assert link.finish(300) == f"W&B: http://127.0.0.1:{server.server_port}/e/p/runs/abc"
    assert [(row["images_seen"], row["loss/d"]) for row in server.history] == [(64, 0.5), (128, 1.0)]


def test_the_key_is_in_no_file_of_the_run(run: RunFolder, start: Any, serve: Any) -> None:
    serve("works")
    start("online").finish(300)
    files = [file for file in run.path.rglob("*") if file.is_file()]
    assert any(file.suffix == ".wandb" for file in files)
    assert [file for file in files if KEY.encode() in file.read_bytes()] == []


def test_a_server_that_never_answers_is_not_waited_for(run: RunFolder, start: Any, serve: Any) -> None:
    server = serve("hangs")
    link = start("online")
    wait_until(lambda: server.asked > 0)
    assert os.getpriority(os.PRIO_PROCESS, link.process.pid) == min(
        19, os.getpriority(os.PRIO_PROCESS, os.getpid()) + 10
    )
    # Ctrl-C on a terminal, and a scheduler that stops the group, leave the mirror to its work.
    assert os.getsid(link.process.pid) != os.getsid(0)
    os.kill(link.process.pid, signal.SIGTERM)
    log = run.wandb / "mirror.log"
    assert link.finish(1) == f"W&B: no answer yet; the mirror keeps trying in the background (log: {log})"
    assert link.process.poll() is None


def test_a_server_that_dies_during_the_run_is_not_waited_for(run: RunFolder, start: Any, serve: Any) -> None:
    server = serve("works")
    link = start("online", run_id="abc")
    wait_until(lambda: status_of(run).state == "recording")
    server.manner = "fails"
    write_rows(run, 64, 128)
    (folder,) = run.wandb.glob("run-*")
    assert link.finish(1) == (
        f"W&B: http://127.0.0.1:{server.server_port}/e/p/runs/abc (still uploading in the background; "
        f"to complete it by hand: wandb sync {folder})"
    )
    assert server.history == []


def test_no_key_is_recorded_offline(
    run: RunFolder, start: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_API_KEY")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    write_rows(run, 64)
    line = start("online").finish(300)
    (folder,) = offline_folders(run)
    assert line.startswith("W&B: not reachable (")
    assert line.endswith(f"), recorded offline; to upload: wandb sync {run.wandb / folder.name}")
    assert history(folder) == [{"images_seen": 64, "loss/d": 0.5}]


@pytest.mark.slow
@pytest.mark.parametrize("manner", ["denies", "fails", "hangs", "is not there"])
def test_a_server_of_no_use_is_replaced_by_an_offline_record(
    run: RunFolder, start: Any, serve: Any, manner: str
) -> None:
    if manner != "is not there":
        serve(manner)
    link = start("online", init_timeout_s=2.0)
    write_rows(run, 64, 128)
    line = link.finish(300)
    (folder,) = offline_folders(run)
    assert line.startswith("W&B: not reachable (")
    assert line.endswith(f"), recorded offline; to upload: wandb sync {run.wandb / folder.name}")
    assert [row["images_seen"] for row in history(folder)] == [64, 128]
    assert [record.exit.exit_code for record in records(folder) if record.HasField("exit")] == [0]


def test_disabled_does_nothing(run: RunFolder, start: Any) -> None:
    link = start("disabled")
    assert link.finish() is None
    assert list(run.wandb.iterdir()) == []


def test_a_broken_wandb_is_told_and_not_raised(
    run: RunFolder, start: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wandb.py").write_text("raise ImportError('no such luck')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    line = start().finish(300)
    assert line == (
        f"W&B: the mirror stopped (no such luck); the metrics are in {run.metrics} "
        f"(log: {run.wandb / 'mirror.log'})"
    )


def test_a_file_in_the_working_directory_is_no_module(
    run: RunFolder, start: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wandb.py").write_text("raise ImportError('no such luck')")
    monkeypatch.chdir(tmp_path)
    line = start().finish(300)
    assert line.startswith("W&B: recorded offline;")


def test_a_mirror_that_cannot_start_is_told_and_not_raised(
    run: RunFolder, start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    link = start()
    assert link.finish() == ("W&B: not recording ([Errno 2] No such file or directory: '/nowhere/python')")


def test_a_config_that_json_has_no_word_for_is_told_and_not_raised(run: RunFolder, start: Any) -> None:
    link = start(config={"x": object()})
    assert link.finish() == "W&B: not recording (Object of type object is not JSON serializable)"


def test_the_status_of_an_older_version_is_continued(run: RunFolder, start: Any) -> None:
    old = {
        "pid": 7, "mode": "offline", "url": None, "folder": "offline-run-1", "reason": None, "finished": True,
        "images_seen": 128, "rows_there": 2, "grid_images_seen": 64,
    }  # fmt: skip
    (run.wandb / "status.json").write_text(json.dumps(old))
    (run.wandb / "mirror.json").write_text(json.dumps({"mode": "offline", "project": "p", "run_id": "abc"}))
    Image.new("RGB", (16, 16)).save(run.grid(64))
    write_rows(run, 64, 128, 128, 192)
    start().finish(300)
    (folder,) = offline_folders(run)
    assert [row["images_seen"] for row in history(folder)] == [192]
    assert folder.name.endswith("-abc")


def test_conditions_are_a_grid_of_their_own(run: RunFolder, start: Any) -> None:
    run.grid(64, "conditions").parent.mkdir()
    Image.new("RGB", (16, 16)).save(run.grid(64, "conditions"))
    start().finish(300)
    (folder,) = offline_folders(run)
    (row,) = history(folder)
    assert row["images_seen"] == 64 and any(key.startswith("grid/conditions") for key in row)
