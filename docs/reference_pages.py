"""Reference pages: the sections of a run file that are no components, and the commands with their options."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click
from component_pages import cell, rows
from pydantic import BaseModel

from ganforge.cli import cli
from ganforge.components.faults import KIND_NOUNS
from ganforge.config.schema import LISTS, PLAYERS, RunConfig

HEAD = """# The run file

TOML. `[data]` and `[nets]` are required; everything else has a default. Lengths and intervals count images.
`--set SECTION.KEY=VALUE` overrides any key on the command line. A "number or a ramp" may be a table
such as `{start = 5.0, end = 0.5, over = 1_000_000}`. `ganforge schema` prints all of it as JSON Schema, for
an editor."""


def reference_pages() -> dict[str, str]:
    """Name of the page in the site -> its text."""
    return {"run-file.md": run_file(), "commands.md": commands()}


def run_file() -> str:
    """Every section of a run file with its keys."""
    lines = [HEAD]
    lines += ["", "## Components", "", "| section | names a | |", "|---|---|---|"]
    for name, info in RunConfig.model_fields.items():
        if name in KIND_NOUNS:
            header = f"[[{name}]]" if name in LISTS else f"[{name}]"
            link = f"[{KIND_NOUNS[name]}](components/{name}/index.md)"
            lines.append(f"| `{header}` | {link} | {cell(info.description or '')} |")
    lines.append(
        f"| `[generator.optimizer]`, `[discriminator.optimizer]` | "
        f"[{KIND_NOUNS['optimizer']}](components/optimizer/index.md) | The optimizer of a player. |"
    )
    for name, info in RunConfig.model_fields.items():
        kind = info.annotation
        if name in KIND_NOUNS or not (isinstance(kind, type) and issubclass(kind, BaseModel)):
            continue
        if name == PLAYERS[1]:
            continue
        header = " and ".join(f"[{each}]" for each in PLAYERS) if name == PLAYERS[0] else f"[{name}]"
        meaning = "A player's settings." if name == PLAYERS[0] else info.description or ""
        lines += ["", f"## {header}", "", cell(meaning), ""]
        lines += ["| key | type | default | meaning |", "|---|---|---|---|", *rows(kind)]
    return "\n".join(lines) + "\n"


def commands() -> str:
    """Every command with its arguments and options, from the command line itself."""
    lines = ["# Commands", "", "`ganforge COMMAND --help` prints the same.", "", "| command | |", "|---|---|"]
    for name, command in sorted(cli.commands.items()):
        lines.append(f"| [{name}](#ganforge-{name}) | {cell(command.get_short_help_str(200))} |")
    lines.append("")
    for name, command in _all(cli, ""):
        arguments = [
            each.make_metavar(click.Context(command)) for each in command.params if _is_argument(each)
        ]
        lines += [f"## ganforge {name}", "", f"```text\nganforge {' '.join([name, *arguments])}\n```", ""]
        lines += [cell(re.split(r"\x08", command.help or "")[0]), ""]
        options = [each for each in command.params if isinstance(each, click.Option) and not each.hidden]
        if options:
            lines += ["| option | meaning |", "|---|---|"]
            lines += [f"| {_names(each)} | {cell(each.help or '')} |" for each in options]
            lines.append("")
    return "\n".join(lines)


def _all(group: click.Group, prefix: str) -> Iterator[tuple[str, click.Command]]:
    """(full name, command) of each command and of each one below it."""
    for name, command in sorted(group.commands.items()):
        if command.hidden:
            continue
        yield prefix + name, command
        if isinstance(command, click.Group):
            yield from _all(command, f"{prefix}{name} ")


def _is_argument(parameter: click.Parameter) -> bool:
    return isinstance(parameter, click.Argument)


def _names(option: click.Option) -> str:
    """`--n INTEGER`, or both names of a switch."""
    names = "/".join([*option.opts, *option.secondary_opts])
    value = (
        "" if option.is_flag or option.count else f" {option.make_metavar(click.Context(click.Command('x')))}"
    )
    return f"`{names}{value}`"
