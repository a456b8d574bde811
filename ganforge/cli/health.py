"""`ganforge health`."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import click

from ganforge.cli.options import as_json


@click.command()
@click.argument("run_folder", metavar="RUN", type=click.Path(path_type=Path))
@as_json
def health(run_folder: Path, as_json: bool) -> None:
    """Check the run folder RUN for signs of failed training.

    Reads only its metrics.jsonl, so it also works for a run that had no sentinel and for one that
    is still running. A diagnosis needs the columns it is computed from; older runs have fewer.
    """
    from ganforge.engine.health.sentinel import sentinel_of
    from ganforge.outputs.events import FINDING, read_events
    from ganforge.outputs.metrics_log import read_rows
    from ganforge.outputs.run_folder import RunFolder

    run = RunFolder.open(run_folder)
    found = sentinel_of(run.read_config().get("health", {})).replay(read_rows(run.metrics))
    if as_json:
        events = [event for event in read_events(run.events) if event["event"] != FINDING]
        findings = [dataclasses.asdict(finding) for finding in found]
        click.echo(json.dumps({"findings": findings, "events": events}))
        return
    for finding in found:
        click.echo(finding.line())
        click.echo(f"  try: {finding.advice}")
    happened = [event for event in read_events(run.events) if event["event"] != FINDING]
    for event in happened:
        click.echo(f"{event['event']} at {event['images_seen']:,} images: {event['what']}")
    if not found and not happened:
        click.echo("nothing found")
