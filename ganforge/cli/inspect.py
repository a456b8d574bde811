"""`ganforge check` and `ganforge schema`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ganforge.config import RunConfig
    from ganforge.profiling.preflight import Preflight


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="As for 'ganforge run'.")
@click.option("--data", "open_data", is_flag=True, help="Open the data as well, and report what is in them.")
def check(config: Path, overrides: tuple[str, ...], open_data: bool) -> None:
    """Check whether CONFIG can run, how large it is and how long it would take; opens no data without
    --data."""
    from ganforge.facade.training import check_file

    found = check_file(config, overrides)
    click.echo(str(found))
    if open_data:
        _open(found.config, found.preflight)


def _open(config: RunConfig, found: Preflight) -> None:
    """Opens the data and reports what a run would: what was taken, skipped and changed, and the labels."""
    from ganforge.outputs.cache import data_context
    from ganforge.training.build import load_samples

    samples = load_samples(config, found.spec, data_context(click.echo))
    click.echo(f"data: {len(samples):,} samples can be trained on")
    if samples.labels is not None and found.spec.labels.names:
        counts = samples.labels.gt(0.5).sum(0).tolist()
        carried = (f"{name} {count:,}" for name, count in zip(found.spec.labels.names, counts, strict=True))
        click.echo(f"data: samples per label: {', '.join(carried)}")
        bare = int((~samples.labels.gt(0.5).any(1)).sum())
        if bare:
            click.echo(f"data: {bare:,} samples carry no label")


@click.command()
def schema() -> None:
    """Print the JSON Schema of a run file, for an editor's completion and checks."""
    from ganforge.components.registry import discover
    from ganforge.config import run_schema

    click.echo(json.dumps(run_schema(discover()), indent=1))
