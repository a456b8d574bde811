"""`ganforge export`."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import click

from ganforge.cli.options import as_json, checkpoint


@click.command()
@click.argument("run_folder", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--onnx", type=click.Path(path_type=Path), help="Write the generator to this .onnx file.")
@click.option(
    "--web",
    type=click.Path(path_type=Path),
    help="Write the playground of `ganforge play`: a folder for any web server, or one .html file that opens "
    "from a disk and can be mailed.",
)
@click.option(
    "--hub",
    type=click.Path(path_type=Path),
    help="Write a run folder to publish: settings, the generator's weights in safetensors, and a card with "
    "metrics and provenance; no training state. `ganforge sample` and `load_run` take it.",
)
@click.option(
    "--license",
    "license_name",
    help="License in the card of --hub, such as apache-2.0, cc-by-4.0, or other.",
)
@checkpoint
@as_json
def export(
    run_folder: Path,
    onnx: Path | None,
    web: Path | None,
    hub: Path | None,
    license_name: str | None,
    choice: str,
    as_json: bool,
) -> None:
    """Export the generator of the run folder RUN (its moving average, if it has one).

    An ONNX file has inputs `z` [n, Z] and, for a conditional generator, `cond` [n, ...], the output
    `samples` [n, ...], and the prior, the conditions and the provenance in its metadata.
    """
    _refuse_combination(onnx, web, hub, license_name)
    from ganforge.components.registry import discover
    from ganforge.evaluation.sample import open_generator
    from ganforge.export.hub import refuse_taken, write_hub
    from ganforge.export.onnx import write_onnx
    from ganforge.export.page_folder import runtime_files
    from ganforge.export.requirements import need_onnx
    from ganforge.export.web import refuse_target, write_page
    from ganforge.outputs.run_folder import RunFolder

    run = RunFolder.open(run_folder)
    if onnx is not None or web is not None:
        need_onnx()
    if hub is not None:
        refuse_taken(hub)
    if web is not None:
        refuse_target(web)
        runtime_files()

    def say(line: str) -> None:
        click.echo(line, err=True)

    def tell(line: str) -> None:
        if not as_json:
            click.echo(line)

    generator = open_generator(run_folder, discover(), say, choice=choice)
    sizes: dict[str, int] = {}
    if hub is not None:
        assert license_name is not None
        # First: the other exports fold the network's parametrizations.
        write_hub(run, generator, choice, hub, license_name, say)
        sizes[str(hub)] = sum(file.stat().st_size for file in hub.rglob("*") if file.is_file())
        tell(f"{hub}: upload it with  hf upload OWNER/NAME {shlex.quote(str(hub))}")
    if onnx is not None:
        sizes[str(onnx)] = size = write_onnx(run, generator, onnx)
        tell(f"{onnx}: {size / 1e6:.1f} MB; equal to PyTorch for batches of 1, 2 and 7")
    if web is not None:
        sizes[str(web)] = size = write_page(run, generator, web)
        tell(f"{web}: {size / 1e6:.1f} MB")
    if as_json:
        click.echo(json.dumps({"bytes": sizes}))


def _refuse_combination(
    onnx: Path | None, web: Path | None, hub: Path | None, license_name: str | None
) -> None:
    """Raises `UsageError` for options that name nothing to write, or do not go together."""
    if onnx is None and web is None and hub is None:
        raise click.UsageError(
            "nothing to write; pass --onnx FILE, --web with a folder or FILE.html, or --hub FOLDER"
        )
    if (hub is None) != (license_name is None):
        raise click.UsageError(
            "--hub needs --license, such as apache-2.0, cc-by-4.0, or other: which one the data and your "
            "institution allow is not guessed"
            if license_name is None
            else "--license is for the card of --hub; pass --hub FOLDER, too"
        )
