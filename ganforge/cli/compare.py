"""`ganforge compare`."""

from __future__ import annotations

from pathlib import Path

import click

SUFFIXES = {".md": "md", ".csv": "csv", ".html": "html", ".htm": "html"}


@click.command()
@click.argument("run_folders", metavar="RUN RUN ...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice(["md", "csv", "html"]),
    help="Output format.  [default: by the suffix of --out; else md]",
)
@click.option("--out", type=click.Path(path_type=Path), help="The file to write.  [default: the terminal]")
@click.option("--all", "parts", is_flag=True, help="Include per-part metrics, such as each label's recall.")
def compare(run_folders: tuple[Path, ...], form: str | None, out: Path | None, parts: bool) -> None:
    """Compare runs side by side: metrics, cost, and the settings that differ.

    Metrics come from 'ganforge evaluate'. Two values of a metric share a row only if everything
    they depend on was the same; notes list what differed.
    """
    from ganforge.evaluation import compare as comparing
    from ganforge.outputs.comparison.as_csv import as_csv
    from ganforge.outputs.comparison.as_html import html
    from ganforge.outputs.comparison.as_markdown import markdown

    form = form or SUFFIXES.get(out.suffix.lower() if out else "", "md")
    comparison = comparing.compare(run_folders, parts)
    text = {"md": markdown, "csv": as_csv, "html": html}[form](comparison)
    if out is None:
        click.echo(text, nl=False)
        return
    comparing.write(out, text)
    click.echo(str(out))
