"""`ganforge plot` and `ganforge report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ganforge.cli.options import as_json, out, written

if TYPE_CHECKING:
    from ganforge.outputs.figures import Format


@click.command()
@click.argument("run_folder", metavar="RUN", type=click.Path(path_type=Path))
@out("Folder for the plots.  [default: RUN/plots]")
@click.option(
    "--format",
    "formats",
    type=click.Choice(["pdf", "svg", "png"]),
    multiple=True,
    help="File format; repeatable.  [default: png and svg]",
)
@click.option(
    "--width",
    type=click.Choice(["column", "page", "screen"]),
    default="screen",
    show_default=True,
    help="3.4 inches for a column of a paper, 7 for a page, 8 for a screen.",
)
@as_json
def plot(run_folder: Path, out: Path | None, formats: tuple[Format, ...], width: str, as_json: bool) -> None:
    """Plot the curves of the run folder RUN: losses, scores, metrics, health and more, one file each.

    For a paper: --format pdf --width column; fonts are embedded as TrueType.
    """
    from ganforge.outputs.plots import SIZES, plot_run
    from ganforge.outputs.run_folder import RunFolder

    files = plot_run(RunFolder.open(run_folder), out, formats or ("png", "svg"), SIZES[width])
    written(files, as_json)


@click.command()
@click.argument("run_folders", metavar="RUN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@out("The page.  [default: RUN/report.html; for several runs report.html]")
@click.option(
    "--max-mb",
    type=click.FloatRange(min=0, min_open=True),
    default=9.5,
    show_default=True,
    help="Size of the page at most; pictures are reduced to it.",
)
@as_json
def report(run_folders: tuple[Path, ...], out: Path | None, max_mb: float, as_json: bool) -> None:
    """Write one self-contained HTML page of one or several runs, for reading offline and for mail.

    A verdict, a film of the training, interactive curves (those of several runs in one chart), evaluations,
    settings as the difference to their example, provenance, and how to reproduce and cite the run.
    """
    from ganforge.outputs.report import write_report
    from ganforge.outputs.run_folder import RunFolder

    runs = [RunFolder.open(folder) for folder in run_folders]
    out = out or (Path("report.html") if len(runs) > 1 else None)
    written([write_report(*runs, out=out, max_bytes=int(max_mb * 1e6))], as_json)
