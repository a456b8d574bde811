"""`ganforge sample`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("run_folder", metavar="RUN", type=click.Path(path_type=Path))
@click.option(
    "--condition",
    help='What the model is conditioned on: label names ("red cube, blue sphere"), numbers ("0.5, -1"), an '
    "image file or a folder of images.  [default: a variety of labels]",
)
@click.option(
    "--conditions",
    "conditions_file",
    type=click.Path(path_type=Path),
    help='JSON file with a list of conditions, such as [["red cube"], ["gray sphere", "blue cube"]].',
)
@click.option(
    "--n",
    type=click.IntRange(min=1),
    help="Samples per condition.  [default: 8, or 1 with --conditions]",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Same seed, same samples."
)
@click.option(
    "--truncation",
    type=click.FloatRange(min=0, min_open=True),
    help="Less variety, better samples: truncate latents at this many standard deviations; with nets "
    "'stylegan2', a factor on the distance of styles from their mean, such as 0.7.",
)
@click.option(
    "--checkpoint",
    "choice",
    default="newest",
    show_default=True,
    help="newest, best (by logging.keep_best), or a number of images seen.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("samples.png"),
    show_default=True,
    help="A .png, .jpg or .webp file: a grid, 8 per row. A folder: one file per sample (PNG, or .npy), and "
    "samples.json.",
)
def sample(
    run_folder: Path,
    condition: str | None,
    conditions_file: Path | None,
    n: int | None,
    seed: int,
    truncation: float | None,
    choice: str,
    out: Path,
) -> None:
    """Draw samples from the generator in the run folder RUN; needs neither W&B nor the data set."""
    if condition is not None and conditions_file is not None:
        raise click.UsageError("--condition and --conditions are mutually exclusive; pass only one of them")
    from ganforge.components.registry import discover
    from ganforge.evaluation import sample as sampling

    generator = sampling.open_generator(
        run_folder, discover(), lambda line: click.echo(line, err=True), truncation, choice
    )
    each = n if n is not None else (1 if conditions_file else 8)
    cond = sampling.wanted(generator.spec.labels, condition, conditions_file, each, seed)
    written = sampling.write_samples(generator, cond, each, seed, out)
    click.echo(f"{each if cond is None else len(cond)} samples (seed {seed}) written to {written}")
