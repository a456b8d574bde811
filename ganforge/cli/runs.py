"""`ganforge runs`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ganforge.cli.options import as_json


@click.command()
@click.argument("folder", metavar="[FOLDER]", type=click.Path(path_type=Path), default=Path("runs"))
@as_json
def runs(folder: Path, as_json: bool) -> None:
    """List the runs in FOLDER (runs by default): state, images seen, best metric, age.

    The state is running, finished, stopped (resume it) or failed: ended by health.policy, or before its
    first checkpoint. The metric is that of logging.keep_best at its best, otherwise the last value of
    the first one.
    """
    from ganforge.outputs.run_list import ago, run_list

    found = run_list(folder)
    if as_json:
        click.echo(json.dumps([run.as_json() for run in found], indent=1))
        return
    if not found:
        click.echo(f"no runs in {folder}")
        return
    lines = [("RUN", "STATE", "IMAGES", "DONE", "METRIC", "AGE")]
    for run in found:
        done = f"{min(1.0, run.images_seen / run.images):.0%}" if run.images else "-"
        metric = "-" if run.value is None else f"{run.metric} {run.value:.4g}"
        lines.append((str(run.path), run.state, f"{run.images_seen:,}", done, metric, ago(run.age_s)))
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    numbers = (2, 3, 5)
    for line in lines:
        cells = (
            cell.rjust(width) if column in numbers else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        click.echo("  ".join(cells).rstrip())
    for run in found:
        if run.trouble:
            click.echo(f"{run.path}: {run.trouble}", err=True)
