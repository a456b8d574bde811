"""`ganforge play`."""

from __future__ import annotations

import contextlib
import shlex
import signal
import tempfile
import threading
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ganforge.cli.options import checkpoint

if TYPE_CHECKING:
    from ganforge.export.kept import Kept
    from ganforge.outputs.run_folder import RunFolder


@click.command()
@click.argument("run_folder", metavar="RUN", type=click.Path(path_type=Path))
@checkpoint
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port.  [default: any free one]")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on; any but 127.0.0.1 shows the page to others who can reach it.",
)
@click.option("--no-browser", is_flag=True, help="Only print the address.")
def play(run_folder: Path, choice: str, port: int, host: str, no_browser: bool) -> None:
    """Play with the generator of the run folder RUN in the browser.

    The generator runs in the page itself. RUN may also be a folder that `ganforge export --web` wrote.
    """
    from ganforge.export.page_folder import is_page
    from ganforge.export.serve import server

    with _ended_by_signals(), tempfile.TemporaryDirectory(prefix="ganforge-play-") as scratch:
        exported = is_page(run_folder)
        folder = run_folder if exported else Path(scratch) / "page"
        # Before the export, which takes a while: a port may be in use.
        with server(folder, host, port) as serving:
            if not exported:
                _export(run_folder, choice, folder)
            address = f"http://{host}:{serving.server_address[1]}/"
            click.echo(f"{address}  (Ctrl-C ends)")
            if not no_browser:
                threading.Thread(target=_open, args=(address,), daemon=True).start()
            try:
                serving.serve_forever()
            except KeyboardInterrupt:
                click.echo("")


def _open(address: str) -> None:
    """In a thread: a browser in the terminal does not return before it is left, and waits for the page."""
    if not webbrowser.open(address):
        click.echo(f"no browser was found; open {address} yourself", err=True)


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Signals that end a process (of `kill`, and of a terminal that is closed) do as Ctrl-C does, from the
    export on: otherwise they would leave the exported page behind. One that is ignored stays so (nohup)."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    changed = [number for number, handler in before.items() if handler == signal.SIG_DFL]
    for number in changed:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in changed:
            signal.signal(number, signal.SIG_DFL)


def _export(run_folder: Path, choice: str, folder: Path) -> None:
    """Writes the page of a run; the generator is exported once, and kept."""
    from ganforge.export import kept
    from ganforge.export.page_folder import runtime_files, write_folder
    from ganforge.outputs.run_folder import RunFolder

    run = RunFolder.open(run_folder)
    runtime = runtime_files()
    key = kept.key_of(run, choice)
    found = kept.read(key) if key is not None else None
    if found is None:
        found = _exported(run, choice, key)
    # The folder may be given in another way than it was then.
    write_folder(folder, {**found.facts, "command": shlex.quote(str(run.path))}, runtime, found.network)


def _exported(run: RunFolder, choice: str, key: str | None) -> Kept:
    """The export, kept by its key if it is of the checkpoint that the key is of."""
    from ganforge.components.registry import discover
    from ganforge.evaluation.sample import open_generator
    from ganforge.export import kept
    from ganforge.export.requirements import need_onnx
    from ganforge.export.web import exported

    need_onnx()
    click.echo("exporting the generator, once for these weights ...", err=True)
    generator = open_generator(run.path, discover(), lambda line: click.echo(line, err=True), choice=choice)
    facts, network = exported(run, generator)
    made = kept.Kept(facts, network.SerializeToString())
    checkpoint = kept.chosen(run, choice)
    # Not so where a damaged checkpoint was skipped, which is to be reported each time.
    if key is not None and checkpoint is not None and int(checkpoint.name) == generator.images_seen:
        kept.write(key, made, f"page of {facts['name']}, {generator.images_seen:,} images seen")
    return made
