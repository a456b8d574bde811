"""`play` on a folder with an exported page: what it prints, what it serves, how it ends."""

from __future__ import annotations

import importlib
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from support.command_line import call


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A folder that looks like an exported page."""
    folder = tmp_path / "page"
    folder.mkdir()
    for name in ("index.html", "model.onnx", "app.js"):
        (folder / name).write_text(name)
    return folder


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_page_is_served_on_loopback_until_a_signal(page: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "ganforge", "play", str(page)]
    # An environment in which no browser is found.
    scene = {**os.environ, "PATH": str(page), "DISPLAY": "", "WAYLAND_DISPLAY": "", "BROWSER": ""}
    # Where the tests run in the background, SIGINT is ignored, and a new process inherits that.
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=scene,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as running:
        assert running.stdout is not None and running.stderr is not None
        line = running.stdout.readline()
        found = re.fullmatch(r"(http://127\.0\.0\.1:\d+/)  \(Ctrl-C ends\)\n", line)
        assert found is not None, line
        with urllib.request.urlopen(found[1]) as answer:
            assert answer.read() == b"index.html"
        assert running.stderr.readline() == f"no browser was found; open {found[1]} yourself\n"
        running.send_signal(number)
        assert running.wait(60) == 0
        assert running.stderr.read() == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_during_the_export_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """As of `kill`, or of a terminal that is closed."""
    made = []

    def export(run: Path, choice: str, folder: Path) -> None:
        folder.mkdir()
        made.append(folder)
        signal.raise_signal(number)

    monkeypatch.setattr(importlib.import_module("ganforge.cli.play"), "_export", export)
    handlers = [signal.signal(each, signal.SIG_DFL) for each in (signal.SIGTERM, signal.SIGHUP)]
    try:
        assert call(tmp_path, "play", "mine", "--no-browser").code == 130
        assert signal.getsignal(number) == signal.SIG_DFL
    finally:
        for each, handler in zip((signal.SIGTERM, signal.SIGHUP), handlers, strict=True):
            signal.signal(each, handler)
    assert made[0].parent.name.startswith("ganforge-play-") and not made[0].parent.exists()


def test_a_folder_that_is_neither_a_run_nor_a_page_is_refused(tmp_path: Path) -> None:
    done = call(tmp_path, "play", "mine", "--no-browser")
    assert done.code == 2 and done.err.startswith("mine is not a run folder: it has no config.toml")
