"""`ganforge neighbours`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("run_folder", metavar="RUN", type=click.Path(path_type=Path))
@click.option(
    "--n", type=click.IntRange(min=1), default=8, show_default=True, help="Number of samples to draw."
)
@click.option("--k", type=click.IntRange(min=1), default=3, show_default=True, help="Neighbours per sample.")
@click.option(
    "--judge",
    type=click.Path(path_type=Path),
    help="Compare features of this judge, a folder from 'ganforge judge train'.  [default: pixels]",
)
@click.option(
    "--count",
    type=click.IntRange(min=2),
    default=256,
    show_default=True,
    help="Number of samples and of real images used for the summary.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the latents.")
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change one key, such as data.root=path."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("neighbours.png"),
    show_default=True,
    help="Image to write; the numbers go to a .json next to it.",
)
def neighbours(
    run_folder: Path,
    n: int,
    k: int,
    judge: Path | None,
    count: int,
    seed: int,
    overrides: tuple[str, ...],
    out: Path,
) -> None:
    """Show the training images nearest to samples of the run in the folder RUN.

    Draws samples next to their neighbours, and real images next to theirs; summarizes whether the
    samples are copies and how diverse they are. Opens the training data.
    """
    if out.suffix.lower() != ".png":
        raise click.UsageError(f"--out {out}: expected a name that ends in .png")
    from ganforge.components.registry import discover
    from ganforge.evaluation.neighbours import Search, find_neighbours
    from ganforge.outputs.cache import data_context

    asked = Search(n, k, judge, count, seed, overrides)
    context = data_context(lambda line: click.echo(line, err=True))
    click.echo(find_neighbours(run_folder, discover(), asked, out, context))
    click.echo(f"wrote {out} and {out.with_suffix('.json')}")
