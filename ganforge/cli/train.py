"""`ganforge run` and `ganforge resume`."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ganforge.cli import cores
from ganforge.cli.launch import launch, processes, wanted

if TYPE_CHECKING:
    from ganforge.engine.distributed.stop_request import StopRequest
    from ganforge.training.outcome import Outcome

REQUEUE = 75
"""EX_TEMPFAIL of sysexits.h: the run is not at its end, and a scheduler may start the job again, with
`ganforge resume` or with the same `ganforge run` where `train.resume` is "auto"."""

UNHEALTHY = 3
"""The policy of `[health]` ended the run; to start the job again as it is would not help."""

minutes = click.option(
    "--max-minutes",
    type=click.FloatRange(min=0, min_open=True),
    help="Stop cleanly after this long, with a checkpoint; exit code 75 unless the run is at its end.",
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
@processes
@click.option("--dry-run", is_flag=True, help="Check the file and show the resolved run; train nothing.")
def run(
    config: Path,
    out: Path | None,
    overrides: tuple[str, ...],
    max_minutes: float | None,
    processes: int,
    dry_run: bool,
) -> None:
    """Train the GAN that CONFIG describes.

    The length of the run is `train.images`. Ctrl-C (or SIGTERM, SIGUSR1) stops after the
    current iteration, with a checkpoint and exit code 75; a second Ctrl-C stops at once. While
    data are opened it stops at once too, and leaves nothing. For a cluster that starts the same
    command again and again: --set train.resume=auto.
    """
    _share_cores()
    from ganforge.components.registry import discover
    from ganforge.config import dumps, load
    from ganforge.engine.distributed import launchers as cluster
    from ganforge.engine.distributed.stop_request import StopRequest
    from ganforge.training import run as training

    cluster.join()
    stop = StopRequest(max_minutes)
    registry = discover()
    settings = load(config, registry, overrides)
    if dry_run:
        from ganforge.cli.inspect import describe
        from ganforge.profiling.preflight import preflight

        found = preflight(settings)
        click.echo(dumps(settings))
        click.echo(describe(str(config), found, settings))
        return
    if wanted(processes):
        # What is wrong with the run file is said here, once.
        training.refuse(settings, processes)
        sys.exit(launch(processes))
    folder = out or training.default_folder(config)
    _finish(lambda: training.start(settings, folder, registry, stop, shlex.join(sys.argv)), stop)


@click.command()
@click.argument("run_folder", metavar="RUN", type=click.Path(path_type=Path))
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change train.images, train.device, or a key of [logging], [wandb] or [health]; repeatable.",
)
@click.option(
    "--config",
    "config_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="A run file to go on with, if it differs only in what may change.  [default: RUN/config.toml]",
)
@click.option(
    "--override",
    "allowed",
    multiple=True,
    metavar="KEY",
    help="Let KEY differ all the same; the run is then no longer exact. Repeatable.",
)
@minutes
@processes
def resume(
    run_folder: Path,
    overrides: tuple[str, ...],
    config_file: Path | None,
    allowed: tuple[str, ...],
    max_minutes: float | None,
    processes: int,
) -> None:
    """Continue the run in the folder RUN from its newest checkpoint, as if it had never stopped.

    It says whether it continues exactly, or what is different.
    """
    _share_cores()
    from ganforge.components.registry import discover
    from ganforge.engine.distributed import launchers as cluster
    from ganforge.engine.distributed.stop_request import StopRequest
    from ganforge.training import run as training

    cluster.join()
    if wanted(processes):
        sys.exit(launch(processes))
    stop = StopRequest(max_minutes)
    _finish(lambda: training.resume(run_folder, discover(), stop, overrides, config_file, allowed), stop)


def _share_cores() -> None:
    """Before torch is loaded."""
    line = cores.prepare()
    if line is not None:
        click.echo(line, err=True)


def _finish(train: Callable[[], Outcome], stop: StopRequest) -> None:
    """Trains; then the last lines and the exit code."""
    from ganforge.engine.distributed.stop_request import Interrupted

    try:
        outcome = train()
    except Interrupted:
        if os.environ.get("RANK", "0") == "0":
            click.echo(
                f"stopped ({stop.reason}) while the run was prepared; to try again, type the same", err=True
            )
        sys.exit(REQUEUE)
    if outcome.is_main:
        _tell(outcome)
    if outcome.diagnosis is not None:
        sys.exit(UNHEALTHY)
    if stop.reason and not outcome.finished:
        sys.exit(REQUEUE)


def _tell(outcome: Outcome) -> None:
    """Where the run is, and what to type next."""
    how = "finished" if outcome.finished else f"stopped ({outcome.stopped_by})"
    folder = shlex.quote(str(outcome.folder))
    click.echo(f"{how} after {outcome.images_seen:,} images; the run is in {outcome.folder}")
    for line in outcome.lines:
        click.echo(line)
    if outcome.diagnosis is not None:
        _tell_illness(outcome, folder)
    elif not outcome.finished:
        click.echo(f"  continue it:  ganforge resume {folder}")
    click.echo(f"  sample it:    ganforge sample {folder} --n 8 --out grid.png")
    click.echo(f"  look at it:   ganforge report {folder}")


def _tell_illness(outcome: Outcome, folder: str) -> None:
    """What the policy of `[health]` ended the run for, and the two ways on."""
    click.echo(f"health: {outcome.diagnosis}")
    if outcome.healthy_at is not None:
        click.echo(f"  the last healthy checkpoint is of {outcome.healthy_at:,} images")
        click.echo(f"  go back to it:       ganforge resume {folder} --set health.policy=rollback")
    click.echo(f"  go on all the same:  ganforge resume {folder} --set health.policy=warn")
