"""`ganforge sweep` and `ganforge sweep report`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ganforge.cli.options import as_json, out, written
from ganforge.cli.train import REQUEUE

if TYPE_CHECKING:
    from ganforge.sweep.worker import Outcome


class _RunByDefault(click.Group):
    """A group in which a word that is not a command is a sweep file."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ("-h", "--help"):
            args = ["run", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_RunByDefault, subcommand_metavar="SWEEP | COMMAND [ARGS]...")
def sweep() -> None:
    """Search a run file's settings: 'ganforge sweep SWEEP.toml'.

    SWEEP names a run file, the keys to vary and the metric to optimize. Each trial is an ordinary run
    folder in FOLDER/trials. The same command again continues the sweep; several workers, on this
    machine or on others that share FOLDER, split the trials among them.
    """


@sweep.command(name="run")
@click.argument("file", metavar="SWEEP", type=click.Path(path_type=Path))
@out("The sweep folder.  [default: sweeps/<name of SWEEP>]")
@click.option("--trials", type=click.IntRange(min=1), help="Total number of trials.  [default: set in SWEEP]")
@click.option(
    "--max-minutes",
    type=click.FloatRange(min=0, min_open=True),
    help="Stop cleanly after this long; exit code 75 unless the sweep is finished.",
)
def run_sweep(file: Path, out: Path | None, trials: int | None, max_minutes: float | None) -> None:
    """Start, join or continue a sweep; 'run' may be omitted.

    Ctrl-C (or SIGTERM) stops after the current iteration of the trial, with a checkpoint and exit
    code 75.
    """
    from ganforge.sweep.study import need_optuna

    need_optuna()
    from ganforge.components.registry import discover
    from ganforge.engine.distributed.stop_request import StopRequest
    from ganforge.sweep.report import write_report
    from ganforge.sweep.worker import sweep as work

    stop = StopRequest(max_minutes)
    outcome = work(file, discover(), stop, lambda line: click.echo(line, err=True), out, trials)
    page = write_report(outcome.folder)
    again = f"ganforge sweep {shlex.quote(str(file))}" + (f" --out {shlex.quote(str(out))}" if out else "")
    _tell(outcome, page, again, stop.reason)
    if not outcome.finished:
        sys.exit(REQUEUE)


@sweep.command(name="report")
@click.argument("folder", metavar="FOLDER", type=click.Path(path_type=Path))
@as_json
def report(folder: Path, as_json: bool) -> None:
    """Write FOLDER/report.html: the trials, parameter importance, and learning curves."""
    from ganforge.sweep.study import need_optuna

    need_optuna()
    from ganforge.sweep.folder import SweepFolder
    from ganforge.sweep.report import write_report

    written([write_report(SweepFolder(folder))], as_json)


def _tell(outcome: Outcome, page: Path, again: str, reason: str | None) -> None:
    """Where everything is, and what to type next."""
    summary = outcome.summary
    how = "finished" if outcome.finished else f"stopped ({reason})"
    click.echo(f"{how}: {len(summary.trials)} trials ({summary.counts or 'none'}); the report is {page}")
    if not outcome.finished:
        click.echo(f"  continue it:  {again}")
    if summary.best is None:
        click.echo("  no trial has completed; see the logs in " + str(outcome.folder.path / "logs"))
        return
    run = shlex.quote(str(summary.best.run))
    click.echo(
        f"  best:         trial {summary.best.number}, {summary.best.value:.6g}, in {summary.best.run}"
    )
    for key, value in summary.best.parameters.items():
        click.echo(f"                {key} = {value}")
    click.echo(f"  sample it:    ganforge sample {run} --n 8 --out grid.png")
    click.echo(f"  view it:      ganforge report {run}")
