"""`ganforge lab`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ganforge.cli.options import as_json, checkpoint, device, out, overrides, seed

JUDGE_MINUTES = 10.0


@click.command()
@click.argument("sheet", type=click.Choice(["iclevr", "infogan", "dcgan"]))
@click.argument("run_folder", metavar="RUN", type=click.Path(path_type=Path))
@out("Folder for the figures.  [default: RUN/lab]")
@overrides
@click.option(
    "--metrics",
    "metrics_file",
    type=click.Path(path_type=Path),
    help="TOML file with the [[metrics]] tables of the accuracy.  [default: those of the run]",
)
@click.option(
    "--seeds", type=click.IntRange(min=1), default=10, show_default=True, help="Seeds of the accuracy."
)
@click.option(
    "--no-train-judge", is_flag=True, help="Measure no accuracy for a run that names no metric with a judge."
)
@click.option(
    "--judge-minutes",
    type=click.FloatRange(min=0, min_open=True),
    default=JUDGE_MINUTES,
    show_default=True,
    help="Time limit of training that judge, which is kept for the same data.",
)
@seed
@checkpoint
@device
@as_json
def lab(
    sheet: str,
    run_folder: Path,
    out: Path | None,
    overrides: tuple[str, ...],
    metrics_file: Path | None,
    seeds: int,
    no_train_judge: bool,
    judge_minutes: float,
    seed: int,
    choice: str,
    device: str,
    as_json: bool,
) -> None:
    """Write the figures of a lab sheet on the run in the folder RUN, as PNG and PDF.

    \b
    iclevr   losses; D(x) and D(G(z)); conditions by noise; interpolation; accuracy over seeds
    infogan  losses of G, D and Q; D(x) and D(G(z)); each code by noise; interpolation
    dcgan    losses; D(x) and D(G(z)); samples; interpolation
    """
    from ganforge.components.registry import discover
    from ganforge.evaluation.evaluate import Evaluation
    from ganforge.evaluation.per_seed import PerSeed, per_seed
    from ganforge.evaluation.train_judge import JudgeTraining
    from ganforge.facade.lab import write_lab
    from ganforge.facade.run import load_run
    from ganforge.outputs.cache import data_context

    def scores() -> list[PerSeed]:
        judge = None if no_train_judge else JudgeTraining(max_minutes=judge_minutes)
        asked = Evaluation(
            metrics_file, overrides, seeds=seeds, checkpoint=choice, judge=judge, device=device
        )
        context = data_context(lambda line: click.echo(line, err=True))
        return per_seed(run_folder, discover(), asked, context, lambda name: name.endswith("_accuracy"))

    run = load_run(run_folder, choice, device)
    files, missing = write_lab(sheet, run, out or run_folder / "lab", seed, scores)
    if as_json:
        click.echo(json.dumps({"written": [str(file) for file in files], "missing": missing}))
        return
    for file in files:
        click.echo(str(file))
    for reason in missing:
        click.echo(f"missing: {reason}", err=True)
