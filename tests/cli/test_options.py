"""Every command has the options that make sense for it, and an option means the same in all of them."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest

from ganforge.cli import cli
from ganforge.cli import options as shared
from support.command_line import call

COMMANDS = dict(shared.commands(cli))

GENERATES = ("sample", "evaluate", "lab", "latents", "neighbours", "export", "play")
"""Commands that open the generator of a run."""
WRITES = (
    "run", "sample", "plugin new", "plot", "report", "judge train", "judge import", "lab", "latents",
    "neighbours", "compare", "sweep run", "profile",
)  # fmt: skip
"""Commands that write a file or a folder that they name by themselves."""
RANDOM = ("new", "sample", "judge train", "lab", "latents", "neighbours")
"""Commands whose result is drawn; that of evaluate is a mean over --seeds, and a run has train.seed."""

EXCEPTIONS = {
    ("run", "--json"): "trains; has --log-format json",
    ("resume", "--json"): "trains; has --log-format json",
    ("sweep run", "--json"): "trains; what it found is in `sweep report`",
    ("play", "--json"): "serves until it is ended",
    ("schema", "--json"): "is JSON",
    ("completion", "--json"): "is a script",
    ("export", "--device"): "the network that is written is checked on the CPU",
    ("play", "--device"): "the browser computes",
}
SPECIAL = {
    ("new", "--device"): "is written into the file, by which a run knows three values",
    ("evaluate", "--device"): "takes hours, so that a GPU is used if there is one",
    ("resume", "--set"): "says which keys may be changed",
    ("run", "--quiet"): "messages are shown, as they are in the log of a job",
    ("resume", "--quiet"): "messages are shown, as they are in the log of a job",
    ("plugin check", "--verbose"): "shows more of the result",
}
"""Options that are not the shared ones, and why."""


def options(command: click.Command) -> dict[str, click.Option]:
    """By their long names."""
    return {
        name: each
        for each in command.params
        if isinstance(each, click.Option)
        for name in each.opts
        if name.startswith("--")
    }


def described(option: click.Option) -> tuple[object, ...]:
    return (set(option.opts), option.type.to_info_dict(), option.default, option.multiple, option.help)


def lacking(name: str, wanted: tuple[str, ...]) -> list[str]:
    has = options(COMMANDS[name])
    return [each for each in wanted if each not in has and (name, each) not in EXCEPTIONS]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_every_option_that_makes_sense(name: str) -> None:
    wanted = ["--json", "--quiet", "--verbose"]
    wanted += ["--checkpoint", "--device"] if name in GENERATES else []
    wanted += ["--out"] if name in WRITES else []
    wanted += ["--seed"] if name in RANDOM else []
    assert lacking(name, tuple(wanted)) == []
    for (command, option), why in EXCEPTIONS.items():
        assert why and option not in options(COMMANDS[command]), "no exception any more"


@click.command()
@shared.seed
@shared.checkpoint
@shared.device
@shared.as_json
@shared.overrides
def every() -> None:
    """Has the shared options."""


shared.add_quiet_and_verbose(click.Group(commands={"every": every}))


@pytest.mark.parametrize("name", COMMANDS)
def test_an_option_is_the_same_in_every_command(name: str) -> None:
    model = options(every)
    for option, found in options(COMMANDS[name]).items():
        if option in model and (name, option) not in SPECIAL:
            assert described(found) == described(model[option]), f"{name} {option}"
    assert all(described(options(COMMANDS[c])[o]) != described(model[o]) for c, o in SPECIAL)


@pytest.mark.parametrize("name", COMMANDS)
def test_short_names_go_with_the_same_long_ones(name: str) -> None:
    pairs = {"-o": "--out", "-n": "--n", "-q": "--quiet", "-v": "--verbose", "-c": "--condition"}
    for short, long in pairs.items():
        for each in COMMANDS[name].params:
            assert (short in each.opts) == (long in each.opts), f"{name} {short}"


def test_every_option_says_what_it_does() -> None:
    silent = [
        f"{name} {each.opts[-1]}"
        for name, command in COMMANDS.items()
        for each in command.params
        if isinstance(each, click.Option) and not each.help
    ]
    assert silent == []


def test_quiet_mutes_messages_and_not_errors(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    done = call(tmp_path, "runs", "-q", "--json")
    assert (done.code, json.loads(done.out), done.err) == (0, [], "")
    (tmp_path / "runs" / "x").mkdir()
    (tmp_path / "runs" / "x" / "config.toml").write_text("[")
    (tmp_path / "runs" / "x" / "run.json").write_text("{}")
    assert "x" in call(tmp_path, "runs").err
    assert call(tmp_path, "runs", "-q").err == ""
    done = call(tmp_path, "health", "-q", "nothing")
    assert (done.code, done.out) == (2, "") and done.err.startswith("nothing is not a run folder")
    done = call(tmp_path, "health", "-q")
    assert (done.code, done.out) == (2, "") and "Missing argument 'RUN'" in done.err


def test_verbose_shows_where_an_error_came_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANFORGE_TRACEBACK", "")
    assert "Traceback" not in call(tmp_path, "health", "nothing").err
    assert "Traceback" in call(tmp_path, "health", "nothing", "-v").err


def test_results_are_json(tmp_path: Path) -> None:
    found = json.loads(call(tmp_path, "cache", "--json").out)
    assert found["entries"] == [] and found["limit"] == 64 * 2**30
    assert json.loads(call(tmp_path, "cache", "clear", "--json").out) == {"deleted": []}
    found = json.loads(call(tmp_path, "doctor", "--json").out)
    assert found["works"] is True and set(found) == {"works", "plugins", "torch", "device", "runs", "cache"}
    found = json.loads(call(tmp_path, "plugin", "new", "acme-x", "--kind", "loss", "--json").out)
    assert all((tmp_path / name).is_file() for name in found["written"]) and found["written"]
