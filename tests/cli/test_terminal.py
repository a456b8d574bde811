"""What a terminal, a log and a shell get to see."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ganforge.cli.loading import NOTICE, loading
from support.command_line import EXAMPLE, TINY, call, sets


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_run_logs_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANFORGE_LOG_FORMAT", "text")
    done = call(tmp_path, "run", EXAMPLE, "-o", "mine", "--log-format", "json", *sets(*TINY))
    events = [json.loads(line) for line in done.err.splitlines()]
    assert [event["images_seen"] for event in events if event["event"] == "row"] == [32, 64]
    assert {event["event"] for event in events} == {"message", "row"}
    end = json.loads(done.out)
    assert (end["event"], end["finished"], end["folder"], end["images_seen"]) == ("end", True, "mine", 64)


def test_a_quiet_run_shows_messages_and_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANFORGE_LOG_FORMAT", "text")
    done = call(tmp_path, "run", EXAMPLE, "-o", "mine", "-q", *sets(*TINY))
    assert done.code == 0
    assert "images/s" not in done.err
    assert done.out.startswith("finished after 64 images; the run is in mine\n")


def test_loading_is_shown_on_a_terminal_and_erased(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.delitem(sys.modules, "torch")
    with loading():
        assert stream.getvalue() == NOTICE
    assert stream.getvalue() == f"{NOTICE}\r{' ' * len(NOTICE)}\r"
    log = io.StringIO()
    monkeypatch.setattr(sys, "stderr", log)
    with loading():
        pass
    assert log.getvalue() == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_the_script_of_the_shell(tmp_path: Path, shell: str) -> None:
    done = call(tmp_path, "completion", shell)
    assert done.code == 0
    assert "_GANFORGE_COMPLETE" in done.out and f"{shell}_complete" in done.out


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_shell_completes_commands() -> None:
    environment = {
        **os.environ,
        "_GANFORGE_COMPLETE": "bash_complete",
        "COMP_WORDS": "ganforge ru",
        "COMP_CWORD": "1",
    }
    program = "import sys; sys.argv = ['ganforge']; from ganforge.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.stdout.split() == ["plain,run", "plain,runs"]


def test_names_with_escape_sequences_do_not_reach_the_terminal(tmp_path: Path) -> None:
    name = "a\x1b]0;owned\x07.toml"
    done = subprocess.run(
        [sys.executable, "-m", "ganforge", "check", name], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr == "a\\x1b]0;owned\\x07.toml: cannot be read: No such file or directory\n"


BLOCKED = """
import importlib.machinery
import json
import sys

find = importlib.machinery.PathFinder.find_spec


def find_spec(name, path=None, target=None):
    return None if name.partition(".")[0] in ("torchvision", "wandb") else find(name, path, target)


importlib.machinery.PathFinder.find_spec = staticmethod(find_spec)
from ganforge.cli import main

# One process for all commands: starting one takes longer than the commands.
for command in json.loads(sys.argv[1]):
    sys.argv = ["ganforge", *command]
    try:
        main()
    except SystemExit as end:
        print(f"== {end.code}", flush=True)
"""


def test_training_needs_neither_torchvision_nor_wandb(tmp_path: Path) -> None:
    (tmp_path / "blocked.py").write_text(BLOCKED)
    toy = Path(EXAMPLE).parents[1] / "toy" / "gan_ring8.toml"
    settings = sets("train.images=512", "wandb.mode=offline", "train.device=cpu")

    commands = [
        ["run", str(toy), "--out", "mine", *settings],
        ["sample", "mine", "--out", "a.png"],
        ["doctor"],
    ]
    done = subprocess.run(
        [sys.executable, "blocked.py", json.dumps(commands)], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    trained, sampled, health, rest = re.split(r"^== (?=.*$)", done.stdout, flags=re.MULTILINE)
    assert trained.startswith("finished after 512 images")
    assert sampled.startswith("0\n") and (tmp_path / "a.png").is_file(), done.stderr
    assert health.startswith("0\n") and "torchvision is not installed" in health, done.stderr
    assert rest == "0\n"
