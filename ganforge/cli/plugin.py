"""`ganforge plugin`: for those who write one."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import click

from ganforge.cli.options import as_json, out, written

BROKEN = 1
"""Exit code of `plugin check` if a rule is broken."""


@click.group()
def plugin() -> None:
    """Write a plugin: 'plugin new NAME --kind loss' makes a package, 'plugin check NAME' checks it."""


@plugin.command()
@click.argument("name")
@click.option(
    "--kind",
    "kinds",
    required=True,
    metavar="KIND[,KIND...]",
    help="loss, data, nets, term, callback, metric, prior, task, optimizer, tracker.",
)
@out("The folder to write.  [default: NAME]")
@as_json
def new(name: str, kinds: str, out: Path | None, as_json: bool) -> None:
    """Write the package NAME, such as acme-gan: a working component of each KIND, tests, README and CI."""
    from ganforge.scaffold.plugin import new_plugin

    folder = out or Path(name)
    files = new_plugin(name, [kind.strip() for kind in kinds.split(",") if kind.strip()], folder)
    written(files, as_json)
    if as_json:
        return
    # Without ./ pip would look for the name on PyPI.
    place = folder if folder.is_absolute() else f"./{folder}"
    click.echo(f"next:  pip install -e {shlex.quote(str(place))}  &&  ganforge plugin check {name}")


@plugin.command()
@click.argument("package")
@click.option("-v", "--verbose", is_flag=True, help="List the rules that are kept, too.")
@as_json
def check(package: str, verbose: bool, as_json: bool) -> None:
    """Check every component of the installed plugin or distribution PACKAGE against the rules of its kind.

    Exit code 0, or 1 if a rule is broken.
    """
    from ganforge.api import UserError, did_you_mean
    from ganforge.components.registry import discover
    from ganforge.testing import outcomes

    registry = discover()
    for broken in registry.broken:
        if package in (broken.plugin.name, broken.plugin.distribution):
            raise UserError(f"{broken.plugin} is not used: {broken.reason}")
    owners = registry.providers.items()
    mine = [component for component, owner in owners if package in (owner.name, owner.distribution)]
    if not mine:
        known = sorted({each for owner in registry.plugins for each in (owner.name, owner.distribution)})
        raise UserError(
            f"no plugin or distribution '{package:.60}' is installed{did_you_mean(package, known)} "
            f"(installed: {', '.join(known)}); pip install it first"
        )
    wrong = kept = 0
    listed = []
    for component in mine:
        for outcome in outcomes(component, registry):
            wrong += outcome.verdict == "broken"
            kept += outcome.verdict == "kept"
            listed.append(
                {
                    "kind": outcome.kind,
                    "name": outcome.name,
                    "rule": outcome.rule.name,
                    "verdict": outcome.verdict,
                    "found": outcome.found,
                }
            )
            if not as_json and (verbose or outcome.verdict != "kept"):
                click.echo(str(outcome))
    count = "1 component" if len(mine) == 1 else f"{len(mine)} components"
    click.echo(json.dumps(listed) if as_json else f"{count}: {kept} rules kept, {wrong} broken")
    if wrong:
        sys.exit(BROKEN)
