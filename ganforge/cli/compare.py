"""`ganforge compare`."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import click

from ganforge.cli.options import as_json, out

SUFFIXES = {".md": "md", ".csv": "csv", ".html": "html", ".htm": "html"}


@click.command()
@click.argument("run_folders", metavar="RUN RUN ...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice(["md", "csv", "html"]),
    help="Output format.  [default: by the suffix of --out; else md]",
)
@out("The file to write.  [default: the terminal]")
@click.option("--all", "parts", is_flag=True, help="Include per-part metrics, such as each label's recall.")
@as_json
def compare(
    run_folders: tuple[Path, ...], form: str | None, out: Path | None, parts: bool, as_json: bool
) -> None:
    """Compare runs side by side: metrics, cost, and the settings that differ.

    Metrics come from 'ganforge evaluate'. Two values of a metric share a row only if everything
    they depend on was the same; notes list what differed.
    """
    from ganforge.evaluation import compare as comparing
    from ganforge.outputs.comparison.as_csv import as_csv
    from ganforge.outputs.comparison.as_html import html
    from ganforge.outputs.comparison.as_markdown import markdown

    if as_json and (form is not None or out is not None):
        raise click.UsageError("--json prints to the terminal; leave out --format and --out")
    form = form or SUFFIXES.get(out.suffix.lower() if out else "", "md")
    comparison = comparing.compare(run_folders, parts)
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(comparison)))
        return
    text = {"md": markdown, "csv": as_csv, "html": html}[form](comparison)
    if out is None:
        click.echo(text, nl=False)
        return
    comparing.write(out, text)
    click.echo(str(out))
