"""Options that mean the same in every command that has them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import click

Decorator = Callable[[Any], Any]

seed = click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Same seed, same result."
)
checkpoint = click.option(
    "--checkpoint",
    "choice",
    default="newest",
    show_default=True,
    help="newest, best (by logging.keep_best), or a number of images seen.",
)
network = click.option(
    "--network",
    metavar="ema|raw|ema-HALFLIFE",
    help="Generator weights: moving average, as trained, or another average that the run keeps (ema.also).  "
    "[default: ema if the run keeps one]",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
overrides = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change one key of the run file, such as train.batch_size=32 or terms.0.weight=5; repeatable.",
)


def device_option(default: str) -> Decorator:
    return click.option("--device", default=default, show_default=True, help="cpu, cuda, or auto.")


device = device_option("cpu")


def out(help: str, default: Path | None = None, required: bool = False) -> Decorator:
    """What is written, and where if it is not given."""
    return click.option(
        "-o",
        "--out",
        type=click.Path(path_type=Path),
        default=default,
        show_default=default is not None,
        required=required,
        help=help,
    )


def count(help: str, default: int | None = None) -> Decorator:
    """How many samples."""
    return click.option(
        "-n",
        "--n",
        type=click.IntRange(min=1),
        default=default,
        show_default=default is not None,
        help=help,
    )


def written(files: Iterable[Path], as_json: bool) -> None:
    """Prints the names of files."""
    names = [str(file) for file in files]
    click.echo(json.dumps({"written": names}) if as_json else "\n".join(names))


def commands(command: click.Command, name: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command below a group that does something by itself, with its words."""
    if isinstance(command, click.Group):
        if name and command.invoke_without_command:
            yield name, command
        for word, each in command.commands.items():
            yield from commands(each, f"{name} {word}".strip())
    else:
        yield name, command


def add_quiet_and_verbose(group: click.Group) -> None:
    """Gives every command `-q` and `-v`, unless it has one of its own."""
    for _, command in commands(group):
        has = {option for parameter in command.params for option in parameter.opts}
        command.params += [each for each in _quiet_and_verbose() if not has & set(each.opts)]


def _quiet_and_verbose() -> list[click.Option]:
    return [
        click.Option(
            ["-q", "--quiet"],
            is_flag=True,
            expose_value=False,
            callback=_mute,
            help="Print the result and errors, no messages.",
        ),
        click.Option(
            ["-v", "--verbose"],
            is_flag=True,
            expose_value=False,
            callback=show_tracebacks,
            help="Print the traceback of an error, too.",
        ),
    ]


def _mute(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    """Until the command ends: see `main`."""
    if value:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 (open until the process ends)


def show_tracebacks(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        os.environ["GANFORGE_TRACEBACK"] = "1"
