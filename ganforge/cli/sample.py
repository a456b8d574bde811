"""`ganforge sample`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganforge.cli.options import as_json, checkpoint, count, device, network, out, seed

if TYPE_CHECKING:
    from ganforge.facade.drawn import DrawnSamples
    from ganforge.facade.run import Run


@click.command()
@click.argument("run_folder", metavar="RUN")
@click.option(
    "--condition",
    "-c",
    "given",
    multiple=True,
    help='What the model is conditioned on: label names ("red cube, blue sphere"), numbers ("0.5, -1"), an '
    "image file or a folder of images; several by name as NAME=VALUE, repeatable.  [default: a variety of "
    "labels]",
)
@click.option(
    "--conditions",
    "conditions_file",
    type=click.Path(path_type=Path),
    help='JSON file with a list of conditions, such as [["red cube"], ["gray sphere", "blue cube"]].',
)
@count("Samples per condition; rows with --grid and --traverse.  [default: 8, or 1 with --conditions]")
@click.option("--grid", is_flag=True, help="Conditions across, one noise a row.  [default: each label alone]")
@click.option(
    "--code",
    "codes",
    multiple=True,
    metavar="NAME=VALUE",
    help="Set a code of the prior (InfoGAN), such as c1=3; repeatable.",
)
@click.option("--traverse", metavar="NAME", help="Values of a code across, such as c1; one noise a row.")
@seed
@click.option(
    "--truncation",
    type=click.FloatRange(min=0, min_open=True),
    help="Less variety, better samples: truncate latents at this many standard deviations; with nets "
    "'stylegan2', a factor on the distance of styles from their mean, such as 0.7.",
)
@network
@checkpoint
@device
@out(
    "A .png, .jpg or .webp file: a grid, 8 per row. A folder: one file per sample (PNG, or .npy), and "
    "samples.json.",
    default=Path("samples.png"),
)
@as_json
def sample(
    run_folder: str,
    given: tuple[str, ...],
    conditions_file: Path | None,
    n: int | None,
    grid: bool,
    codes: tuple[str, ...],
    traverse: str | None,
    seed: int,
    truncation: float | None,
    network: str | None,
    choice: str,
    device: str,
    out: Path,
    as_json: bool,
) -> None:
    """Draw samples from the generator in the run folder RUN, or hf://owner/name; needs neither W&B nor the
    data set."""
    if given and conditions_file is not None:
        raise click.UsageError("--condition and --conditions are mutually exclusive; pass only one of them")
    if grid and traverse:
        raise click.UsageError("--grid and --traverse are mutually exclusive; pass only one of them")
    from ganforge.evaluation import sample as sampling
    from ganforge.evaluation.codes import parse_codes
    from ganforge.facade.run import load_run

    run = load_run(run_folder, choice, device, network)
    wanted: Any = _joined(run, given)
    if conditions_file is not None:
        wanted = sampling.conditions_in(run.spec.labels, conditions_file)
    chosen: dict[str, Any] = {"seed": seed, "truncation": truncation, "codes": parse_codes(codes)}
    sampling.refuse_out(out)
    if grid:
        drawn = run.condition_grid(wanted, rows=n or 8, **chosen)
    elif traverse:
        drawn = run.traverse(traverse, wanted, rows=n or 8, **chosen)
    else:
        drawn = run.sample(wanted, n=n or (1 if conditions_file else 8), **chosen)
    _tell(drawn, drawn.save(out), seed, as_json)


def _joined(run: Run, given: tuple[str, ...]) -> str | None:
    """What the options --condition say together."""
    if len(given) > 1 and not run.spec.labels.parts:
        raise click.UsageError(
            "--condition was given twice, but a sample has a single one here; list several in a JSON file "
            "for --conditions"
        )
    return "; ".join(given) if given else None


def _tell(drawn: DrawnSamples, written: Path, seed: int, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"written": str(written), "samples": len(drawn), "seed": seed}))
    else:
        click.echo(f"{len(drawn)} samples (seed {seed}) written to {written}")
