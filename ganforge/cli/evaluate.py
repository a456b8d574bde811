"""`ganforge evaluate`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import click


@click.command()
@click.argument("run_folder", metavar="RUN", type=click.Path(path_type=Path))
@click.option(
    "--metrics",
    "metrics_file",
    type=click.Path(path_type=Path),
    help="TOML file with [[metrics]] tables.  [default: those of the run]",
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change one key, such as metrics.0.repeats=3 or data.root=path; repeatable.",
)
@click.option(
    "--seeds", type=click.IntRange(min=1), help="Number of seeds per metric.  [default: its own setting]"
)
@click.option(
    "--network",
    type=click.Choice(["ema", "raw"]),
    help="Generator weights: moving average, or as trained.  [default: ema if the run keeps one]",
)
@click.option(
    "--checkpoint",
    default="newest",
    show_default=True,
    help="newest, best (by logging.keep_best), or a number of images seen.",
)
@click.option(
    "--real",
    is_flag=True,
    help="Evaluate real images instead of the generator: one half against the other, the best score "
    "the metrics can give. Records nothing.",
)
def evaluate(
    run_folder: Path,
    metrics_file: Path | None,
    overrides: tuple[str, ...],
    seeds: int | None,
    network: Literal["ema", "raw"] | None,
    checkpoint: str,
    real: bool,
) -> None:
    """Compute metrics on a checkpoint of the run in the folder RUN.

    Appends one line to RUN/evaluations.jsonl: the values and everything they depend on. The data
    set is opened only for metrics that need real images. Per-label recalls are plotted as bars in
    RUN/plots.
    """
    from ganforge.components.registry import discover
    from ganforge.evaluation import evaluate as evaluation
    from ganforge.evaluation import real_baseline as ceiling
    from ganforge.outputs.cache import data_context

    asked = evaluation.Evaluation(metrics_file, overrides, seeds, network, checkpoint)
    context = data_context(lambda line: click.echo(line, err=True))
    if real:
        click.echo(as_table(ceiling.evaluate_real(run_folder, discover(), asked, context)))
        return
    record = evaluation.evaluate(run_folder, discover(), asked, context)
    click.echo(as_table(record))
    click.echo(f"recorded in {run_folder / evaluation.RECORD}")


def as_table(record: Mapping[str, Any]) -> str:
    """The record as a short table."""
    from ganforge.outputs.recall_chart import INFIX, recall_table, recalls

    if record["network"] == "real":
        lines = ["real images instead of the generator's"]
    else:
        network = {"ema": "moving average", "raw": "as trained"}[record["network"]]
        lines = [f"generator after {record['images_seen']:,} images ({network})"]
    for metric in record["metrics"]:
        values = metric["values"]
        lines.append(metric["type"])
        for name, value in values.items():
            if INFIX in name or (name.endswith("_std") and name.removesuffix("_std") in values):
                continue
            spread = values.get(f"{name}_std")
            lines.append(f"  {name:40} {_number(value)}{'' if spread is None else f' ± {_number(spread)}'}")
        for title, shares in recalls(values).items():
            lines += [f"  {title}_recall, lowest first", *(f"    {line}" for line in recall_table(shares))]
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.4f}"
