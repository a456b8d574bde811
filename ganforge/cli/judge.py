"""`ganforge judge`: classifiers that recognize what generated images show."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from ganforge.cli.options import as_json, out, overrides, seed

if TYPE_CHECKING:
    from ganforge.api.judge.judge import Judge

WORST = 5

folder = out("Folder to write the judge to.", required=True)


@click.group()
def judge() -> None:
    """Train or import a judge: a classifier that measures whether samples match their condition."""


@judge.command()
@click.argument("config", type=click.Path(path_type=Path))
@folder
@overrides
@click.option(
    "--epochs", type=click.IntRange(min=1), default=12, show_default=True, help="Epochs of training."
)
@click.option(
    "--max-minutes",
    type=click.FloatRange(min=0, min_open=True),
    help="Time limit; the learning rate decays to 0 by then.",
)
@seed
@click.option(
    "--architecture",
    type=click.Choice(["small_resnet", "plain"]),
    default="small_resnet",
    show_default=True,
    help="plain = strided convolutions, five times as fast; for a guide that is not to resemble the judge.",
)
@click.option(
    "--width",
    type=click.IntRange(min=1, max=1024),
    default=24,
    show_default=True,
    help="Channels of the first stage.",
)
@as_json
def train(
    config: Path,
    out: Path,
    overrides: tuple[str, ...],
    epochs: int,
    max_minutes: float | None,
    seed: int,
    architecture: Literal["small_resnet", "plain"],
    width: int,
    as_json: bool,
) -> None:
    """Train a judge on the real images of CONFIG's section [data].

    Images of one group (one scene, say) are either all in the training split or all held out. Ends
    with the judge's accuracy on held-out images: the upper bound for a perfect generator.
    """
    from ganforge.components.registry import discover
    from ganforge.config import load
    from ganforge.evaluation import train_judge as judging
    from ganforge.outputs.cache import data_context

    settings = load(config, discover(), overrides)
    judging.refuse_existing(out)
    context = data_context(lambda line: click.echo(line, err=True))
    wanted = judging.JudgeTraining(epochs, max_minutes, architecture, width, seed)
    trained = judging.train_judge(settings, wanted, context)
    trained.save(out)
    _tell(trained, out, as_json)


@judge.command("import")
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.argument("config", type=click.Path(path_type=Path))
@folder
@overrides
@as_json
def import_(checkpoint: Path, config: Path, out: Path, overrides: tuple[str, ...], as_json: bool) -> None:
    """Import CHECKPOINT, a published judge {'model': state_dict} of a torchvision ResNet-18 with fc.0.

    Its outputs must be the labels of CONFIG's section [data], in the same order.
    """
    from ganforge.api.judge.judge import import_checkpoint
    from ganforge.components.registry import discover
    from ganforge.config import load
    from ganforge.evaluation import train_judge as judging

    settings = load(config, discover(), overrides)
    judging.refuse_existing(out)
    imported = import_checkpoint(checkpoint, settings.data.spec())
    imported.save(out)
    _tell(imported, out, as_json)


def _tell(judge: Judge, out: Path, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"written": str(out), "card": judge.card.model_dump(mode="json")}))
        return
    click.echo(judge_report(judge))
    click.echo(f"judge written to {out}")


def judge_report(judge: Judge) -> str:
    """The judge in a few lines: what it is, and its accuracy on held-out real images."""
    card = judge.card
    parameters = sum(weight.numel() for weight in judge.parameters())
    lines = [f"judge of {card.data.labels.width} labels: {card.architecture}, {parameters:,} parameters"]
    if card.accuracy:
        recall = {
            key.removeprefix("recall/"): share
            for key, share in card.accuracy.items()
            if key.startswith("recall/")
        }
        worst = sorted(recall, key=lambda name: recall[name])[:WORST]
        lines += [
            f"  on {card.trained_on['test_images']:,} held-out real images:",
            f"  accuracy       {card.accuracy['accuracy']:.4f}   (true labels in the top k outputs)",
            f"  exact match    {card.accuracy['exact_match']:.4f}",
            f"  lowest recall  {', '.join(f'{name} {recall[name]:.3f}' for name in worst)}",
        ]
    return "\n".join([*lines, f"  SHA-256        {card.sha256}"])
