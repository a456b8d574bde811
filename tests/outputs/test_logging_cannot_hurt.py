"""W&B online with a server that hangs, refuses, fails or dies: the run ends as if it were disabled.

The servers are on the loopback address; no other is ever contacted.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ganforge.engine.distributed.stop_request import StopRequest
from ganforge.outputs.mirror.files import MirrorStatus
from ganforge.outputs.mirror.link import PATIENCE_S, MirrorLink
from ganforge.outputs.run_folder import RunFolder
from ganforge.training.run import start
from support.paths import ROOT, TESTS
from support.toys import toy_config, toy_registry
from support.wandb_server import Server

KEY = "0123456789" * 4
TIMING = ("seconds", "images_per_second", "peak_memory_mib")
MANNERS = ["hangs", "denies", "fails", "is not there", "dies"]


@pytest.fixture
def links(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[MirrorLink]]:
    """The mirrors that a test starts, in an environment in which W&B knows nothing of this machine's
    user; they are ended with the test, as some would go on trying for ten minutes."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
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


def rows(folder: Path) -> list[dict[str, Any]]:
    """The local record without what the machine decides."""
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [{key: value for key, value in json.loads(line).items() if key not in TIMING} for line in lines]


def trained(folder: Path, mode: str, images: int = 48) -> list[str]:
    config = toy_config(
        train={"images": images}, logging={"grid_every": 16}, wandb={"mode": mode, "project": "p"}
    )
    outcome = start(config, folder, toy_registry(), StopRequest(), "test")
    assert outcome.finished and outcome.images_seen == images
    return list(outcome.lines)


@pytest.mark.parametrize("manner", [pytest.param(manner, marks=pytest.mark.slow) for manner in MANNERS])
def test_a_run_ends_as_if_there_were_no_server(
    tmp_path: Path, links: list[MirrorLink], monkeypatch: pytest.MonkeyPatch, manner: str
) -> None:
    compare(tmp_path, monkeypatch, manner, patience_s=PATIENCE_S)


def test_a_run_does_not_wait_for_a_server_that_hangs(
    tmp_path: Path, links: list[MirrorLink], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The quick one of the slow five: no patience at all changes nothing in the record."""
    lines = compare(tmp_path, monkeypatch, "hangs", patience_s=0.0)
    (link,) = [link for link in links if link.process is not None]
    log = tmp_path / "online" / "wandb" / "mirror.log"
    assert lines == [f"W&B: no answer yet; the mirror keeps trying in the background (log: {log})"]
    assert link.process is not None and link.process.poll() is None


def compare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, manner: str, patience_s: float) -> list[str]:
    monkeypatch.setattr("ganforge.training.session.MIRROR_PATIENCE_S", patience_s)
    trained(tmp_path / "disabled", "disabled")
    server = Server("works" if manner == "dies" else manner)
    monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    if manner == "is not there":
        server.server_close()
    else:
        thread.start()
    if manner == "dies":
        die_once_online(server, RunFolder(tmp_path / "online"))
    try:
        lines = trained(tmp_path / "online", "online")
    finally:
        server.over.set()
        if thread.is_alive():
            server.shutdown()
        server.server_close()
    assert rows(tmp_path / "online") == rows(tmp_path / "disabled")
    for name in ("grids", "checkpoints"):
        both = [
            sorted(file.name for file in (tmp_path / run / name).iterdir()) for run in ("online", "disabled")
        ]
        assert both[0] == both[1]
    files = [file for file in (tmp_path / "online").rglob("*") if file.is_file()]
    assert [file for file in files if KEY.encode() in file.read_bytes()] == []
    return lines


def die_once_online(server: Server, run: RunFolder) -> None:
    """Breaks off every connection from the moment on at which the mirror is online."""

    def die() -> None:
        while MirrorStatus.load(run.wandb / "status.json").state == "starting":
            time.sleep(0.05)
        server.manner = "dies"

    threading.Thread(target=die, daemon=True).start()


FORBIDDEN = re.compile(
    r"""(?<![\w.])eval\(|(?<![\w.])exec\(|\bimport\ c?pickle\b|\bpickle\.|\bimport\ (marshal|shelve|dill)\b"""
    r"""|shell\s*=\s*True|\bos\.system\(|\bos\.popen\(|\byaml\.(unsafe_)?load\(|allow_pickle\s*=\s*True""",
    re.VERBOSE,
)
SOURCES = sorted(
    file for folder in ("ganforge", "plugins", "examples") for file in (ROOT / folder).rglob("*.py")
)


def test_no_source_runs_what_it_reads() -> None:
    assert len(SOURCES) > 100
    found = [
        f"{file.relative_to(ROOT)}:{number}: {line.strip()}"
        for file in SOURCES
        for number, line in enumerate(file.read_text().splitlines(), start=1)
        if FORBIDDEN.search(line)
    ]
    assert found == []
    for bad in (
        "x = eval(y)",
        "exec(code)",
        "import pickle",
        "subprocess.run(c, shell=True)",
        "os.system(c)",
    ):
        assert FORBIDDEN.search(bad)
    for fine in ("network.eval()", "model.eval(", "unpickled", "weights_only=True", "def evaluate("):
        assert not FORBIDDEN.search(fine)


def test_torch_load_takes_weights_only() -> None:
    calls = [
        call
        for file in SOURCES
        for call in re.findall(r"(?<!safetensors\.)torch\.load\([^)]*\)", file.read_text())
    ]
    assert calls and all("weights_only=True" in call for call in calls)


def test_servers_listen_on_the_loopback_address() -> None:
    listening = re.compile(r"HTTPServer|TCPServer|\.bind\(|create_server\(")
    files = [file for file in [*SOURCES, *sorted(TESTS.rglob("*.py"))] if file != Path(__file__)]
    servers = [file for file in files if listening.search(file.read_text())]
    assert TESTS / "support" / "wandb_server.py" in servers
    assert [file for file in servers if not re.search(r'"(127\.0\.0\.1|localhost)"', file.read_text())] == []
    assert [file for file in files if "0.0.0.0" in file.read_text()] == []
