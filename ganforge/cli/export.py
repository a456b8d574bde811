"""`ganforge export`."""

from __future__ import annotations

from pathlib import Path

import click

from ganforge.cli.options import checkpoint


@click.command()
@click.argument("run_folder", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--onnx", type=click.Path(path_type=Path), help="Write the generator to this .onnx file.")
@click.option(
    "--web",
    type=click.Path(path_type=Path),
    help="Write the playground of `ganforge play`: a folder for any web server, or one .html file that opens "
    "from a disk and can be mailed.",
)
@checkpoint
def export(run_folder: Path, onnx: Path | None, web: Path | None, choice: str) -> None:
    """Export the generator of the run folder RUN (its moving average, if it has one).

    An ONNX file has inputs `z` [n, Z] and, for a conditional generator, `cond` [n, ...], the output
    `samples` [n, ...], and the prior, the conditions and the provenance in its metadata.
    """
    if onnx is None and web is None:
        raise click.UsageError("nothing to write; pass --onnx FILE, or --web with a folder or FILE.html")
    from ganforge.components.registry import discover
    from ganforge.evaluation.sample import open_generator
    from ganforge.export.onnx import write_onnx
    from ganforge.export.requirements import need_onnx
    from ganforge.export.web import refuse_target, runtime_files, write_page
    from ganforge.outputs.run_folder import RunFolder

    run = RunFolder.open(run_folder)
    need_onnx()
    if web is not None:
        refuse_target(web)
        runtime_files()
    generator = open_generator(run_folder, discover(), lambda line: click.echo(line, err=True), choice=choice)
    if onnx is not None:
        size = write_onnx(run, generator, onnx)
        click.echo(f"{onnx}: {size / 1e6:.1f} MB; equal to PyTorch for batches of 1, 2 and 7")
    if web is not None:
        size = write_page(run, generator, web)
        click.echo(f"{web}: {size / 1e6:.1f} MB")
