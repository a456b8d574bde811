"""`ganforge new`."""

from __future__ import annotations

import dataclasses
import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import click

from ganforge.cli.options import as_json, seed

if TYPE_CHECKING:
    from ganforge.api import LabelWish, Survey
    from ganforge.components.registry import Registry
    from ganforge.config.starter import Networks, Wishes
    from ganforge.profiling.preflight import Preflight

CPU_MINUTES, GPU_MINUTES = 30.0, 120.0
"""Default budgets: a first result on the machine, not the best that the data allow."""


@click.command()
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option(
    "--data", "root", required=True, type=click.Path(path_type=Path), help="Folder or zip of images."
)
@click.option(
    "--labels",
    type=click.Choice(["auto", "none", "folder", "file"]),
    default="auto",
    show_default=True,
    help="Where the labels are: the sub-folders, a label file (labels.csv, labels.json, ...), or none.",
)
@click.option("--image-size", type=click.IntRange(16, 1024), help="Pixels.  [default: by data and device]")
@click.option("--channels", type=click.IntRange(1, 16), help="1 = gray, 3 = RGB.  [default: by data]")
@click.option(
    "--nets",
    "networks",
    type=click.Choice(["dcgan", "stylegan2"]),
    help="Networks.  [default: dcgan on a CPU, stylegan2 on a GPU]",
)
@click.option(
    "--batch-size", type=click.IntRange(min=2), default=32, show_default=True, help="Images of an iteration."
)
@click.option("--mirror/--no-mirror", default=True, help="Flip images left to right at random.")
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    help="Estimated length of the run on this machine.  [default: 30 on a CPU, 120 on a GPU]",
)
@click.option("--images", type=click.IntRange(min=1), help="Length of the run, instead of --minutes.")
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="cpu, cuda, or auto.",
)
@seed
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@as_json
@click.pass_context
def new(
    context: click.Context, /, file: Path, root: Path, labels: str, force: bool, as_json: bool, **given: Any
) -> None:
    """Write FILE, a run file for your own images; then train with 'ganforge run FILE'.

    Image size, networks, augmentation, learning rates and length fit the images in --data and this
    machine; every choice is commented in FILE and can be edited there.
    """
    _refuse(file, force)
    from ganforge.components.registry import discover
    from ganforge.config.starter import starter
    from ganforge.outputs.atomic import write_bytes

    registry = discover()
    data = registry.of("data").get("image_folder") or registry.find("data", "image_folder")
    survey: Survey = cast(Any, data).survey(root, cast("LabelWish", labels))
    wishes, found, budget = _planned(survey, registry, file, **given)
    text = starter(survey, wishes, budget)
    if force:
        write_bytes(file, text.encode())
    else:
        with file.open("x", encoding="utf-8") as handle:
            handle.write(text)
    if as_json:
        click.echo(json.dumps(_as_json(survey, wishes, found), indent=1))
        return
    _report(survey, file, found, budget, "play" in getattr(context.find_root().command, "commands", {}))
    for line in found.advice:
        click.echo(f"  warning: {line}")


def _refuse(file: Path, force: bool) -> None:
    """Before torch is imported. Raises `UserError` if FILE cannot be written."""
    from ganforge.api.errors import UserError

    if file.suffix.lower() != ".toml":
        better = file.with_suffix(".toml").name if file.name else "my.toml"
        raise UserError(f"{file}: a run file is TOML; name it {better}")
    if file.exists() and not force:
        raise UserError(f"{file} already exists; choose another name, or replace it with --force")
    if not file.parent.is_dir():
        raise UserError(f"{file}: there is no folder {file.parent}; create it first")


def _planned(
    survey: Survey,
    registry: Registry,
    file: Path,
    *,
    networks: Networks | None,
    minutes: float | None,
    images: int | None,
    device: Literal["auto", "cpu", "cuda"],
    **given: Any,
) -> tuple[Wishes, Preflight, str]:
    """The settings with a length that fits the minutes, the preflight, and the comment on that length."""
    import tomllib

    import torch

    from ganforge.config import validate
    from ganforge.config.starter import Wishes, rounded, starter
    from ganforge.outputs.progress import duration, throughput
    from ganforge.profiling.preflight import preflight

    gpu = device != "cpu" and torch.cuda.is_available()
    wishes = Wishes(networks=networks or ("stylegan2" if gpu else "dcgan"), device=device, **given)
    text = starter(survey, wishes)
    found = preflight(validate(tomllib.loads(text), registry, file=str(file), text=text))
    each = found.seconds_per_image
    if images is None and each is not None:
        budget = 60 * (minutes or (GPU_MINUTES if gpu else CPU_MINUTES))
        images = max(2 * wishes.batch_size, rounded(budget / each))
    if images is not None:
        wishes = dataclasses.replace(wishes, images=images)
    if each is None:
        return wishes, found, ""
    took = f"about {duration(wishes.images * each)} at {throughput(each)} on {found.device}"
    return wishes, found, took


def _report(survey: Survey, file: Path, found: Preflight, budget: str, playable: bool) -> None:
    for fact in survey.facts:
        click.echo(fact)
    if survey.label_counts:
        few = sorted(survey.label_counts.items(), key=lambda item: item[1])
        shown = [f"{name} {count:,}" for name, count in few[-12:][::-1]]
        click.echo(f"images per label: {', '.join(shown)}{', ...' if len(few) > 12 else ''}")
    if survey.images < 100:
        click.echo(f"warning: {survey.images:,} images are few: expect copies of them, not new ones")
    shape = "x".join(map(str, found.spec.shape))
    click.echo(f"{file}: {shape}, {found.spec.labels.in_words()}; {budget}")
    run = shlex.quote(f"runs/{file.stem}")
    click.echo(f"  train it:     ganforge run {shlex.quote(str(file))}")
    if playable:
        click.echo(f"  play with it: ganforge play {run}")
    else:
        click.echo(f"  sample it:    ganforge sample {run} --n 16 --out grid.png")


def _as_json(survey: Survey, wishes: Wishes, found: Preflight) -> dict[str, Any]:
    each = found.seconds_per_image
    return {
        "survey": dataclasses.asdict(survey),
        "settings": dataclasses.asdict(wishes),
        "shape": list(found.spec.shape),
        "seconds": None if each is None else each * wishes.images,
        "device": found.device,
    }
