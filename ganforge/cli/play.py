"""`ganforge play`."""

from __future__ import annotations

import tempfile
import webbrowser
from pathlib import Path

import click


@click.command()
@click.argument("run_folder", metavar="RUN", type=click.Path(path_type=Path))
@click.option(
    "--checkpoint",
    "choice",
    default="newest",
    show_default=True,
    help="newest, best (by logging.keep_best), or a number of images seen.",
)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port.  [default: any free one]")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on; 0.0.0.0 shows the page to everyone who can reach this machine.",
)
@click.option("--no-browser", is_flag=True, help="Only print the address.")
def play(run_folder: Path, choice: str, port: int, host: str, no_browser: bool) -> None:
    """Play with the generator of the run folder RUN in the browser.

    The generator runs in the page itself. RUN may also be a folder that `ganforge export --web` wrote.
    """
    from ganforge.export.serve import server

    with tempfile.TemporaryDirectory(prefix="ganforge-play-") as scratch:
        folder = _page(run_folder, choice, Path(scratch))
        with server(folder, host, port) as serving:
            address = f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{serving.server_address[1]}/"
            click.echo(f"{address}  (Ctrl-C ends)")
            if not no_browser and not webbrowser.open(address):
                click.echo(f"no browser was found; open {address} yourself", err=True)
            try:
                serving.serve_forever()
            except KeyboardInterrupt:
                click.echo("")


def _page(run_folder: Path, choice: str, scratch: Path) -> Path:
    """The folder to serve: `run_folder` itself, or one made of the run."""
    from ganforge.export.web import is_page, runtime_files, write_page

    if is_page(run_folder):
        return run_folder
    from ganforge.components.registry import discover
    from ganforge.evaluation.sample import open_generator
    from ganforge.export.requirements import need_onnx
    from ganforge.outputs.run_folder import RunFolder

    runtime_files()
    need_onnx()
    run = RunFolder.open(run_folder)
    click.echo("exporting the generator ...", err=True)
    generator = open_generator(run_folder, discover(), lambda line: click.echo(line, err=True), choice=choice)
    write_page(run, generator, scratch / "page")
    return scratch / "page"
