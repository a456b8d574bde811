"""`ganforge plot` and `ganforge report`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("run_folder", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the plots.  [default: RUN/plots]")
def plot(run_folder: Path, out: Path | None) -> None:
    """Plot the curves of the run folder RUN, as PNG and SVG."""
    from ganforge.outputs.plots import plot_run
    from ganforge.outputs.run_folder import RunFolder

    for file in plot_run(RunFolder.open(run_folder), out):
        click.echo(str(file))


@click.command()
@click.argument("run_folder", metavar="RUN", type=click.Path(path_type=Path))
def report(run_folder: Path) -> None:
    """Write RUN/report.html: curves, samples, settings and versions on one page."""
    from ganforge.outputs.report import write_report
    from ganforge.outputs.run_folder import RunFolder

    click.echo(str(write_report(RunFolder.open(run_folder))))
