"""`ganforge cache`."""

from __future__ import annotations

import json
import time

import click

from ganforge.cli.options import as_json


@click.group(invoke_without_command=True)
@as_json
@click.pass_context
def cache(context: click.Context, as_json: bool) -> None:
    """List the decoded data and the exported generators that are kept, and the space they take.

    The least recently used entries are dropped once all of them exceed GANFORGE_CACHE_GIB (64 by default).
    """
    if context.invoked_subcommand is not None:
        return
    from ganforge.api.cache import LIMIT_VARIABLE, entries, limit
    from ganforge.outputs.cache import cache_folder

    folder = cache_folder()
    found = entries(folder)
    if as_json:
        listed = [{"key": e.key, "bytes": e.bytes, "used": e.used, "holds": e.holds} for e in found]
        click.echo(json.dumps({"folder": str(folder), "limit": int(limit()), "entries": listed}))
        return
    for entry in found:
        used = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.used))
        click.echo(f"{_size(entry.bytes):>10}  last used {used}  {entry.key}  {entry.holds}")
    total = sum(entry.bytes for entry in found)
    most = f"{_size(int(limit()))} ({LIMIT_VARIABLE})"
    click.echo(f"{len(found)} entries, {_size(total)} of at most {most}, in {folder}")


@cache.command()
@click.argument("keys", metavar="[KEY]...", nargs=-1)
@as_json
def clear(keys: tuple[str, ...], as_json: bool) -> None:
    """Delete the entries KEY, or all of them; they are made again when they are needed.

    A run in progress keeps the entry that it has opened.
    """
    from ganforge.api import UserError, did_you_mean
    from ganforge.api.cache import entries, sweep
    from ganforge.outputs.cache import cache_folder

    found = {entry.key: entry for entry in entries(cache_folder())}
    for key in keys:
        if key not in found:
            raise UserError(
                f"no entry '{key}' in {cache_folder()}{did_you_mean(key, found)}; 'ganforge cache' lists them"
            )
    removed = [found[key] for key in keys] if keys else list(found.values())
    for entry in removed:
        entry.remove()
    sweep(cache_folder())
    if as_json:
        click.echo(json.dumps({"deleted": [entry.key for entry in removed]}))
        return
    click.echo(f"deleted {len(removed)} entries, {_size(sum(entry.bytes for entry in removed))}")


def _size(count: int) -> str:
    """Bytes in the unit that suits."""
    for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"
