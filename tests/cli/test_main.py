"""`main`: exit codes, and what a user sees of an error."""

from __future__ import annotations

import errno
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

import ganforge as package
from ganforge.api import UserError
from ganforge.cli import cli
from support.command_line import Done, call


def raising(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


def failing(monkeypatch: pytest.MonkeyPatch, folder: Path, error: BaseException) -> Done:
    """What the user sees where a command raises `error`."""
    monkeypatch.setitem(cli.commands, "schema", click.Command("schema", callback=raising(error)))
    return call(folder, "schema")


@pytest.mark.parametrize(
    "arguments", [["--help"], ["run", "--help"], ["plugins", "show", "-h"], ["--version"]]
)
def test_help_needs_no_torch(arguments: list[str]) -> None:
    code = (
        "import sys; from ganforge.cli import cli\n"
        f"try: cli.main({arguments!r}, prog_name='ganforge')\n"
        "except SystemExit as ended: assert not ended.code\n"
        "assert not {'torch', 'pydantic', 'wandb', 'numpy'} & set(sys.modules), sorted(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(("Usage: ganforge", f"ganforge, version {package.__version__}"))


def test_a_mistake_ends_in_one_message_and_no_traceback(
    ganforge: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    (tmp_path / "bad.toml").write_text("[data]\ntype = \n")
    done = ganforge("run", "bad.toml")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "bad.toml:2: TOML syntax error: Invalid value (at line 2, column 8)\n"
    assert {path.name for path in tmp_path.iterdir()} <= {"bad.toml", "cache"}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "[OPTIONS] COMMAND [ARGS]..."),
        (("rnu",), "Did you mean 'run'?"),
        (("run",), "Missing argument 'CONFIG'"),
        (("run", "x.toml", "--max-minutes", "0"), "0.0 is not in the range x>0"),
        (("sample", "x", "--n", "0"), "0 is not in the range x>=1"),
        (("sample", "x", "--seed", "-1"), "-1 is not in the range x>=0"),
        (
            ("sample", "x", "--condition", "a", "--conditions", "b"),
            "--condition and --conditions are mutually exclusive",
        ),
    ],
)
def test_usage_errors_exit_with_2(tmp_path: Path, arguments: tuple[str, ...], expected: str) -> None:
    done = call(tmp_path, *arguments)
    assert (done.code, done.out) == (2, "")
    assert expected in done.err


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (UserError("the margin is negative; give one above 0"), "the margin is negative; give one above 0\n"),
        (OSError(errno.ENOSPC, "No space left", "runs/x/a"), "runs/x/a: the disk is full\n"),
        (OSError(errno.EDQUOT, "Quota"), "the disk quota is used up\n"),
        (PermissionError(errno.EACCES, "Denied", "a"), "a: permission denied\n"),
        (OSError(errno.EROFS, "Read-only", "a"), "a: the file system is read-only\n"),
        (FileNotFoundError(errno.ENOENT, "gone", "x"), "x: no such file or folder\n"),
        (NotADirectoryError(errno.ENOTDIR, "", "a/b"), "a/b: a part of this path is not a folder\n"),
    ],
)
def test_what_the_user_can_mend_is_said_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception, expected: str
) -> None:
    assert failing(monkeypatch, tmp_path, error) == Done(2, "", expected)


def test_notes_are_shown_behind_the_message(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    error = OSError(errno.ENOSPC, "No space left", "a")
    error.add_note("to continue:  ganforge resume runs/a")
    expected = "a: the disk is full\nto continue:  ganforge resume runs/a\n"
    assert failing(monkeypatch, tmp_path, error).err == expected


@pytest.mark.parametrize("error", [RuntimeError("ours"), OSError("wordless")])
def test_a_fault_of_ours_keeps_its_traceback(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception
) -> None:
    with pytest.raises(type(error)) as caught:
        failing(monkeypatch, tmp_path, error)
    assert caught.value is error


def test_an_interrupt_outside_of_training_exits_with_130(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert failing(monkeypatch, tmp_path, KeyboardInterrupt()).code == 130
