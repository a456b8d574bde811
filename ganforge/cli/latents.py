"""`ganforge latents`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganforge.cli.options import as_json, checkpoint, count, device, out, seed

if TYPE_CHECKING:
    from ganforge.facade.run import Run

DEFAULT_OUT = {
    "walk": "walk.webp",
    "interpolate": "interpolation.png",
    "project": "projection.png",
    "truncation": "truncation.png",
    "mixing": "mixing.png",
}
SUFFIXES = {"walk": (".webp", ".gif"), "project": (".png", ".jpg", ".jpeg", ".webp")}
"""Of what takes long to make, so that a name that cannot be is refused before."""


@click.command()
@click.argument("run_folder", metavar="RUN")
@click.option("--walk", is_flag=True, help="A film: samples on a closed way through the latent space.")
@click.option(
    "--interpolate",
    nargs=2,
    type=click.IntRange(min=0),
    metavar="A B",
    help="From the first sample of seed A to that of seed B: a row of images, or a film.",
)
@click.option(
    "--project",
    metavar="IMAGE",
    type=click.Path(path_type=Path),
    help="The latent whose sample is nearest to IMAGE, by Adam on the pixels; also written as .npy.",
)
@click.option("--truncation-sheet", is_flag=True, help="The same latents at several truncations.")
@click.option(
    "--mixing", is_flag=True, help="Coarse styles from row to row, fine ones across (nets 'stylegan2')."
)
@click.option("--condition", "-c", help="As for 'ganforge sample'.  [default: a variety of labels]")
@count("Samples side by side, or columns of a sheet.")
@click.option(
    "--steps",
    type=click.IntRange(min=2),
    help="Images of --interpolate [9], frames of --walk [60], updates of --project [300].",
)
@click.option(
    "--fps",
    type=click.FloatRange(min=1, max=50),
    default=20.0,
    show_default=True,
    help="Frames a second of a film.",
)
@click.option("--truncation", type=click.FloatRange(min=0, min_open=True), help="As for 'ganforge sample'.")
@seed
@checkpoint
@device
@out("The file; .webp or .gif for a film.  [default: walk.webp, interpolation.png, ...]")
@as_json
def latents(
    run_folder: str,
    walk: bool,
    interpolate: tuple[int, int] | None,
    project: Path | None,
    truncation_sheet: bool,
    mixing: bool,
    condition: str | None,
    n: int | None,
    steps: int | None,
    fps: float,
    truncation: float | None,
    seed: int,
    choice: str,
    device: str,
    out: Path | None,
    as_json: bool,
) -> None:
    """Explore the latent space of the run in the folder RUN: pass one of --walk, --interpolate, --project,
    --truncation-sheet and --mixing."""
    asked = {"walk": walk, "interpolate": interpolate, "project": project, "truncation": truncation_sheet,
             "mixing": mixing}  # fmt: skip
    chosen = [name for name, given in asked.items() if given]
    if len(chosen) != 1:
        raise click.UsageError(
            "expected one of --walk, --interpolate A B, --project IMAGE, --truncation-sheet and --mixing"
        )
    out = out or Path(DEFAULT_OUT[chosen[0]])
    suffixes = SUFFIXES.get(chosen[0], (out.suffix.lower(),))
    if out.suffix.lower() not in suffixes:
        raise click.UsageError(
            f"--out {out}: --{chosen[0]} writes a file that ends in {' or '.join(suffixes)}"
        )
    from ganforge.facade.run import load_run

    run = load_run(run_folder, choice, device)
    result: dict[str, Any] = {"written": str(out), "seed": seed}
    if project is not None:
        result |= _project(run, project, condition, steps or 300, seed, out)
    elif walk:
        drawn = run.walk(condition, n=n or 4, frames=steps or 60, seed=seed, truncation=truncation)
        drawn.save_film(out, fps)
    elif interpolate:
        drawn = run.interpolate(condition, seeds=interpolate, steps=steps or 9, truncation=truncation)
        if out.suffix.lower() in (".gif", ".webp"):
            drawn.framewise().save_film(out, fps)
        else:
            drawn.save(out)
    elif mixing:
        run.mix_styles(condition, columns=n or 6, seed=seed, truncation=truncation).save(out)
    else:
        run.truncation_sheet(condition, columns=n or 8, seed=seed).save(out)
    if as_json:
        click.echo(json.dumps(result))
    else:
        click.echo(result.get("text") or f"written to {out}")


def _project(
    run: Run, image: Path, condition: str | None, steps: int, seed: int, out: Path
) -> dict[str, Any]:
    """Projects, shows the progress, and writes the comparison and the latent."""
    import numpy as np
    import torch

    from ganforge.evaluation.projection import read_target
    from ganforge.evaluation.sample import write_grid
    from ganforge.outputs.labels import Names

    target, resized = read_target(image, run.spec)
    if resized:
        click.echo(f"{image}: resized to {run.spec.shape[2]}x{run.spec.shape[1]} pixels", err=True)

    def shown(step: int, rmse: float) -> None:
        if step in (1, steps) or step % max(1, steps // 5) == 0:
            click.echo(f"step {step:,} of {steps:,}: error {rmse:.4f}", err=True)

    found = run.project(target, condition, steps=steps, seed=seed, shown=shown)
    pictures = torch.stack([found.target, found.start, found.image])
    names = Names(("image", "start", "found"))
    write_grid(run.config.data, pictures, out, 3, names)
    np.save(out.with_suffix(".npy"), found.z.numpy(), allow_pickle=False)
    text = (
        f"error {found.rmse:.4f} (root mean square of pixels in [-1, 1]), {found.psnr:.1f} dB; written to "
        f"{out} and {out.with_suffix('.npy')}"
    )
    return {"rmse": found.rmse, "psnr": found.psnr, "latent": str(out.with_suffix(".npy")), "text": text}
