"""`ganforge run` and `ganforge resume`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ganforge.engine import StopRequest
    from ganforge.training import Outcome

REQUEUE = 75
"""EX_TEMPFAIL of sysexits.h: a scheduler may start the job again, with `ganforge resume`."""

minutes = click.option(
    "--max-minutes",
    type=click.FloatRange(min=0, min_open=True),
    help="Stop cleanly after this long, with a checkpoint; exit code 0.",
)


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), help="The run folder.  [default: runs/<name of CONFIG>]"
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change one key of the file, such as train.batch_size=32 or terms.0.weight=5; repeatable.",
)
@minutes
@click.option("--dry-run", is_flag=True, help="Check the file and show the resolved run; train nothing.")
def run(
    config: Path, out: Path | None, overrides: tuple[str, ...], max_minutes: float | None, dry_run: bool
) -> None:
    """Train the GAN that CONFIG describes.

    The length of the run is `train.images`. Ctrl-C (or SIGTERM, SIGUSR1) stops after the
    current iteration, with a checkpoint and exit code 75; a second Ctrl-C stops at once.
    """
    from ganforge import training
    from ganforge.config import dumps, load
    from ganforge.engine import StopRequest
    from ganforge.registry import discover

    stop = StopRequest(max_minutes)
    registry = discover()
    settings = load(config, registry, overrides)
    if dry_run:
        from ganforge.check import preflight
        from ganforge.cli.inspect import describe

        found = preflight(settings)
        click.echo(dumps(settings))
        click.echo(describe(str(config), found, settings))
        return
    folder = out or training.default_folder(config)
    _finish(training.start(settings, folder, registry, stop, shlex.join(sys.argv)), stop)


@click.command()
@click.argument("run_folder", metavar="RUN", type=click.Path(path_type=Path))
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change train.images, or a key of [logging] or [wandb]; repeatable.",
)
@minutes
def resume(run_folder: Path, overrides: tuple[str, ...], max_minutes: float | None) -> None:
    """Continue the run in the folder RUN from its newest checkpoint, as if it had never stopped."""
    from ganforge import training
    from ganforge.engine import StopRequest
    from ganforge.registry import discover

    stop = StopRequest(max_minutes)
    _finish(training.resume(run_folder, discover(), stop, overrides), stop)


def _finish(outcome: Outcome, stop: StopRequest) -> None:
    """The last lines and the exit code."""
    if outcome.is_main:
        _tell(outcome)
    if stop.by_signal and not outcome.finished:
        sys.exit(REQUEUE)


def _tell(outcome: Outcome) -> None:
    """Where the run is, and what to type next."""
    how = "finished" if outcome.finished else f"stopped ({outcome.stopped_by})"
    folder = shlex.quote(str(outcome.folder))
    click.echo(f"{how} after {outcome.images_seen:,} images; the run is in {outcome.folder}")
    for line in outcome.lines:
        click.echo(line)
    if not outcome.finished:
        click.echo(f"  continue it:  ganforge resume {folder}")
    click.echo(f"  sample it:    ganforge sample {folder} --n 8 --out grid.png")
    click.echo(f"  look at it:   ganforge report {folder}")
