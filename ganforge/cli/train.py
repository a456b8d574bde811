"""`ganforge run` and `ganforge resume`."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ganforge.cli import cores
from ganforge.cli.launch import launch, processes, wanted
from ganforge.cli.loading import loading
from ganforge.cli.options import out, overrides

if TYPE_CHECKING:
    from ganforge.engine.distributed.stop_request import StopRequest
    from ganforge.training.outcome import Outcome

REQUEUE = 75
"""EX_TEMPFAIL of sysexits.h: the run is not finished, and a scheduler may start the job again, with
`ganforge resume`, or with the same `ganforge run` if `train.resume` is "auto"."""

FOLDER = "GANFORGE_RUN_FOLDER"
"""Set for the processes of --processes: the run folder, on which all of them agree."""

AT_ONCE = 130
"""Ended by a second Ctrl-C, as shells report it."""

UNHEALTHY = 3
"""`health.policy` ended the run; restarting the job unchanged would not help."""

minutes = click.option(
    "--max-minutes",
    type=click.FloatRange(min=0, min_open=True),
    help="Stop cleanly after this long, with a checkpoint; exit code 75 unless the run is finished.",
)


def show_as(style: str) -> None:
    """Sets how progress is shown, here and in the processes that are started; text, the default, leaves what
    the environment says."""
    if style != "text":
        os.environ["GANFORGE_LOG_FORMAT"] = style


log_format = click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    callback=lambda context, parameter, value: show_as(value),
    expose_value=False,
    help="Progress as a bar or lines, or as one JSON object per line, whose 'event' is row, message or end.",
)
quiet = click.option(
    "-q",
    "--quiet",
    is_flag=True,
    callback=lambda context, parameter, value: show_as("quiet" if value else "text"),
    expose_value=False,
    help="Show messages and the end, no progress.",
)


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@out("The run folder.  [default: runs/<name of CONFIG>, or runs/<name>-2, ... if that holds a run]")
@click.option(
    "--overwrite",
    is_flag=True,
    help="Replace the run in the folder, once this one has started; refused for anything but a run folder.",
)
@overrides
@minutes
@processes
@log_format
@quiet
@click.option("--fresh-cache", is_flag=True, help="Decode the data again, and replace what is kept of them.")
@click.option(
    "--dry-run", is_flag=True, help="Validate the file and print the resolved settings; train nothing."
)
def run(
    config: Path,
    out: Path | None,
    overwrite: bool,
    overrides: tuple[str, ...],
    max_minutes: float | None,
    processes: int,
    fresh_cache: bool,
    dry_run: bool,
) -> None:
    """Train the GAN that CONFIG describes.

    The length of the run is `train.images`. Ctrl-C (or SIGTERM, SIGUSR1, SIGHUP)
    stops after the current iteration, with a checkpoint and exit code 75; a second Ctrl-C stops at once.
    Under nohup, SIGHUP stays ignored. During
    setup it stops at once too, and writes nothing. For a cluster that restarts the same command:
    --set train.resume=auto.
    """
    _share_cores()
    with loading():
        from ganforge.components.registry import discover
        from ganforge.config import dumps, load
        from ganforge.engine.distributed import launchers as cluster
        from ganforge.engine.distributed.stop_request import StopRequest
        from ganforge.outputs.cache import ask_for_fresh_data
        from ganforge.training import run as training

    cluster.join()
    if fresh_cache:
        ask_for_fresh_data()
    stop = StopRequest(max_minutes)
    registry = discover()
    settings = load(config, registry, overrides)
    if dry_run:
        from ganforge.profiling.preflight import preflight
        from ganforge.profiling.preflight_report import preflight_report

        found = preflight(settings)
        click.echo(dumps(settings))
        click.echo(preflight_report(str(config), found, settings))
        return
    if wanted(processes):
        # Errors in the run file are reported here, once, not by every process.
        training.refuse(settings, processes)
        if out is None and not overwrite and settings.train.resume == "never":
            os.environ[FOLDER] = str(training.free_folder(config, settings.train.images))
        sys.exit(launch(processes))
    folder = out or Path(os.environ.get(FOLDER) or training.default_folder(config))
    # Processes that other launchers start cannot agree on a number.
    numbered = out is None and not overwrite and "RANK" not in os.environ and settings.train.resume == "never"
    command = shlex.join(sys.argv)
    _finish(
        lambda: training.start(settings, folder, registry, stop, command, numbered, overwrite),
        stop,
    )


@click.command()
@click.argument("run_folder", metavar="RUN", type=click.Path(path_type=Path))
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change train.images, train.device, or a key of [logging], [[trackers]], [wandb] or [health]; "
    "repeatable.",
)
@click.option(
    "--config",
    "config_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Run file to continue with; may differ only in changeable keys.  [default: RUN/config.toml]",
)
@click.option(
    "--override",
    "allowed",
    multiple=True,
    metavar="KEY",
    help="Allow KEY to differ; the resumed run is then no longer exact. Repeatable.",
)
@minutes
@processes
@log_format
@quiet
def resume(
    run_folder: Path,
    overrides: tuple[str, ...],
    config_file: Path | None,
    allowed: tuple[str, ...],
    max_minutes: float | None,
    processes: int,
) -> None:
    """Resume the run in the folder RUN from its newest checkpoint, as if it had never stopped.

    Reports whether it continues exactly, or what differs.
    """
    _share_cores()
    with loading():
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
                f"stopped ({stop.reason}) during setup; nothing was written. Run the same command again",
                err=True,
            )
        sys.exit(REQUEUE)
    except KeyboardInterrupt as error:
        for line in getattr(error, "__notes__", ()):
            click.echo(line, err=True)
        sys.exit(AT_ONCE)
    if outcome.is_main:
        from ganforge.engine.distributed.hangup import leave_lost_terminal

        # It may have been closed since the signal came, or without one.
        leave_lost_terminal()
        _tell(outcome)
    if outcome.diagnosis is not None:
        sys.exit(UNHEALTHY)
    if stop.reason and not outcome.finished:
        sys.exit(REQUEUE)


def _tell(outcome: Outcome) -> None:
    """Where the run is, and what to type next."""
    from ganforge.outputs.progress import style

    if style() == "json":
        record = {"event": "end", "folder": str(outcome.folder), "images_seen": outcome.images_seen}
        record |= {"finished": outcome.finished, "stopped_by": outcome.stopped_by}
        record |= {"diagnosis": outcome.diagnosis, "lines": list(outcome.lines)}
        click.echo(json.dumps(record))
        return
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
    click.echo(f"  view it:      ganforge report {folder}")


def _tell_illness(outcome: Outcome, folder: str) -> None:
    """Why `health.policy` ended the run, and the two ways to continue."""
    click.echo(f"health: {outcome.diagnosis}")
    if outcome.healthy_at is not None:
        click.echo(f"  last healthy checkpoint: after {outcome.healthy_at:,} images")
        click.echo(f"  go back to it:       ganforge resume {folder} --set health.policy=rollback")
    click.echo(f"  continue anyway:      ganforge resume {folder} --set health.policy=warn")
