"""`ganforge profile`: where the time of an iteration goes."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import click

from ganforge.cli.options import as_json, out, overrides


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option(
    "--iterations",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="Iterations to time, after a warm-up.",
)
@out("Also write a trace of a few iterations, a .json for chrome://tracing or ui.perfetto.dev.")
@overrides
@as_json
def profile(
    config: Path, iterations: int, out: Path | None, overrides: tuple[str, ...], as_json: bool
) -> None:
    """Profile an iteration of CONFIG: time spent in data loading, forward and backward passes, terms,
    optimizers, moving average and logging.

    Trains on the data of CONFIG in this process alone, and saves nothing.
    """
    # Silences torch's profiler, which otherwise prints when it starts, stops, and finds no GPU.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    from ganforge.components.registry import discover
    from ganforge.config import load
    from ganforge.outputs.cache import data_context
    from ganforge.profiling.profile import profile_run

    settings = load(config, discover(), overrides)
    context = data_context(lambda line: click.echo(line, err=True))
    found = profile_run(settings, iterations, context, out)
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(found)))
        return
    click.echo("\n".join(found.lines()))
    if out is not None:
        click.echo(f"trace: {out}")
