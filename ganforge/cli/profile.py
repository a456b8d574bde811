"""`ganforge profile`: where the time of an iteration goes."""

from __future__ import annotations

import os
from pathlib import Path

import click


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option(
    "--iterations",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="Iterations to time, after a warm-up.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Also write a trace of a few iterations, a .json for chrome://tracing or ui.perfetto.dev.",
)
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change one key of the file; repeatable."
)
def profile(config: Path, iterations: int, out: Path | None, overrides: tuple[str, ...]) -> None:
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
    click.echo("\n".join(found.lines()))
    if out is not None:
        click.echo(f"trace: {out}")
