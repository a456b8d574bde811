"""`ganforge evaluate`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from ganforge.cli.options import as_json, checkpoint, device_option, network, overrides

JUDGE_MINUTES = 10.0


@click.command()
@click.argument("run_folder", metavar="RUN", type=click.Path(path_type=Path))
@click.option(
    "--metrics",
    "metrics_file",
    type=click.Path(path_type=Path),
    help="TOML file with [[metrics]] tables.  [default: those of the run]",
)
@overrides
@click.option(
    "--seeds", type=click.IntRange(min=1), help="Number of seeds per metric.  [default: its own setting]"
)
@network
@checkpoint
@device_option("auto")
@click.option(
    "--real",
    is_flag=True,
    help="Evaluate real images instead of the generator: one half against the other, the best score "
    "the metrics can give. Records nothing.",
)
@click.option(
    "--no-train-judge",
    is_flag=True,
    help="Refuse a run that names no metrics, instead of training a judge of its data.",
)
@click.option(
    "--judge-minutes",
    type=click.FloatRange(min=0, min_open=True),
    default=JUDGE_MINUTES,
    show_default=True,
    help="Time limit of training that judge, which is kept for the same data.",
)
@as_json
def evaluate(
    run_folder: Path,
    metrics_file: Path | None,
    overrides: tuple[str, ...],
    seeds: int | None,
    network: str | None,
    choice: str,
    device: str,
    real: bool,
    no_train_judge: bool,
    judge_minutes: float,
    as_json: bool,
) -> None:
    """Compute metrics on a checkpoint of the run in the folder RUN.

    Without metrics in the run file or in --metrics, samples are judged by whether they show their labels (a
    small classifier is trained once on the run's real images), on each list of conditions that the data set
    has. Appends one line to RUN/evaluations.jsonl: the values and everything they depend on. The data
    set is opened only for metrics that need real images. Per-label recalls are plotted as bars in
    RUN/plots.
    """
    from ganforge.components.registry import discover
    from ganforge.evaluation import evaluate as evaluation
    from ganforge.evaluation import real_baseline as ceiling
    from ganforge.evaluation.train_judge import JudgeTraining
    from ganforge.outputs.cache import data_context

    judge = None if no_train_judge or real else JudgeTraining(max_minutes=judge_minutes)
    asked = evaluation.Evaluation(metrics_file, overrides, seeds, network, choice, judge, device)
    context = data_context(lambda line: click.echo(line, err=True))
    if real:
        record = ceiling.evaluate_real(run_folder, discover(), asked, context)
    else:
        record = evaluation.evaluate(run_folder, discover(), asked, context)
    # Shown first: an hour of measuring must not be lost to a folder that cannot be written.
    click.echo(json.dumps(record, allow_nan=False) if as_json else as_table(record))
    if not real:
        _record(run_folder, record, as_json)


def _record(folder: Path, record: Mapping[str, Any], as_json: bool) -> None:
    from ganforge.api import UserError
    from ganforge.evaluation.evaluate import RECORD
    from ganforge.evaluation.record import write_record

    try:
        written = write_record(folder, record)
    except OSError as error:
        raise UserError(
            f"{error.filename or folder / RECORD}: {error.strerror}; the values above could not be recorded"
        ) from error
    if not as_json:
        click.echo(f"recorded in {written}")


def as_table(record: Mapping[str, Any]) -> str:
    """The record as a short table."""
    from ganforge.evaluation.weights import weights_in_words
    from ganforge.outputs.recall_chart import INFIX, recall_table, recalls

    if record["network"] == "real":
        lines = ["real images instead of the generator's"]
    else:
        lines = [f"generator after {record['images_seen']:,} images ({weights_in_words(record['network'])})"]
    for metric in record["metrics"]:
        values = metric["values"]
        lines.append(metric["type"])
        for name, value in values.items():
            if INFIX in name or (name.endswith("_std") and name.removesuffix("_std") in values):
                continue
            spread = values.get(f"{name}_std")
            line = f"  {name:40} {_number(value)}{'' if spread is None else f' ± {_number(spread)}'}"
            best = ceiling(metric, name)
            lines.append(line if best is None else f"{line}   (judge on real images: {_number(best)})")
        for title, shares in recalls(values).items():
            lines += [f"  {title}_recall, lowest first", *(f"    {line}" for line in recall_table(shares))]
    return "\n".join(lines)


def ceiling(metric: Mapping[str, Any], name: str) -> float | None:
    """The judge's own value on held-out real images, the upper bound for a generator; None if the metric has
    no judge, or its card no such value."""
    card = metric.get("files", {}).get("judge", {}).get("accuracy", {})
    found = [best for kind, best in card.items() if name.endswith(f"_{kind}")]
    return found[0] if found else None


def _number(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.4f}"
