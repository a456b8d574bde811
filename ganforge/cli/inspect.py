"""`ganforge check` and `ganforge schema`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ganforge.cli.options import as_json, overrides

if TYPE_CHECKING:
    from ganforge.api import Samples
    from ganforge.facade.training import Checked


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@overrides
@click.option("--data", "open_data", is_flag=True, help="Open the data as well, and report what is in them.")
@as_json
def check(config: Path, overrides: tuple[str, ...], open_data: bool, as_json: bool) -> None:
    """Check whether CONFIG can run, how large it is and how long it would take; opens no data without
    --data."""
    from ganforge.facade.training import check_file

    found = check_file(config, overrides)
    if as_json:
        samples = _samples(found, lambda line: click.echo(line, err=True)) if open_data else None
        click.echo(json.dumps(found.as_json() | ({} if samples is None else {"samples": len(samples)})))
        return
    click.echo(str(found))
    if open_data:
        _report(found, _samples(found, click.echo))


def _samples(found: Checked, say: Callable[[str], None]) -> Samples:
    """The opened data; `say` reports what a run would: what was taken, skipped and changed."""
    from ganforge.outputs.cache import data_context
    from ganforge.training.build import load_samples

    return load_samples(found.config, found.preflight.spec, data_context(say))


def _report(checked: Checked, samples: Samples) -> None:
    """The number of samples, of all and by label."""
    found = checked.preflight
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
