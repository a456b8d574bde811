"""`ganforge neighbours`."""

from __future__ import annotations

from pathlib import Path

import click

from ganforge.cli.options import as_json, checkpoint, count, device, out, overrides, seed


@click.command()
@click.argument("run_folder", metavar="RUN", type=click.Path(path_type=Path))
@count("Samples to show.", default=8)
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
@seed
@overrides
@checkpoint
@device
@out("Image to write; the numbers go to a .json next to it.", default=Path("neighbours.png"))
@as_json
def neighbours(
    run_folder: Path,
    n: int,
    k: int,
    judge: Path | None,
    count: int,
    seed: int,
    overrides: tuple[str, ...],
    choice: str,
    device: str,
    out: Path,
    as_json: bool,
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

    asked = Search(n, k, judge, count, seed, overrides, choice, device)
    context = data_context(lambda line: click.echo(line, err=True))
    text = find_neighbours(run_folder, discover(), asked, out, context)
    if as_json:
        click.echo(out.with_suffix(".json").read_text("utf-8"), nl=False)
        return
    click.echo(text)
    click.echo(f"wrote {out} and {out.with_suffix('.json')}")
