"""The suite's command line."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import click
import torch

from benchmarks.loops import WAYS
from benchmarks.settings import Settings, machine, write_json
from benchmarks.suite import lines, run_work
from benchmarks.works import WORKS


@click.command(context_settings={"show_default": True})
@click.option(
    "--works",
    multiple=True,
    type=click.Choice(list(WORKS)),
    help="What to train; repeatable.  [default: all]",
)
@click.option("--ways", multiple=True, type=click.Choice(list(WAYS)), help="How; repeatable.  [default: all]")
@click.option(
    "--batch", multiple=True, type=click.IntRange(min=2), default=(64,), help="Images in a batch; repeatable."
)
@click.option(
    "--seconds", type=click.FloatRange(min=0), default=5.0, help="For each way of each work, in all rounds."
)
@click.option("--rounds", type=click.IntRange(min=1), default=5, help="Turns of each way.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto")
@click.option("--precision", type=click.Choice(["no", "bf16"]), default="no", help="As train.precision.")
@click.option(
    "--fakes",
    type=click.Choice(["fresh", "reused"]),
    default="fresh",
    help="Whether the generator's update makes its own or, where the schedule is 1:1, reuses the "
    "discriminator's, as tutorials do; in all ways alike.",
)
@click.option("--full", is_flag=True, help="The papers' widths throughout; wants a GPU.")
@click.option("--memory/--no-memory", default=True, help="Peak memory, each way in a process of its own.")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="A key of the run file, for ganforge alone; repeatable.",
)
@click.option("--json", "out", type=click.Path(path_type=Path), help="Write all figures into this file.")
def main(
    works: tuple[str, ...],
    ways: tuple[str, ...],
    batch: tuple[int, ...],
    seconds: float,
    rounds: int,
    device: str,
    precision: str,
    fakes: str,
    full: bool,
    memory: bool,
    overrides: tuple[str, ...],
    out: Path | None,
) -> None:
    """Time ganforge, a tutorial's loop and an expert's on the same work."""
    began = time.monotonic()
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    here = machine(torch.device(device))
    click.echo("  ".join(f"{name}: {value}" for name, value in here.items()))
    if here["load"] > 0.5:
        click.echo(f"the machine is busy (load {here['load']:.1f}): these figures are not to be quoted")
    found = []
    for size in batch:
        settings = Settings(size, device, precision, full, fakes == "reused", overrides)
        for work in works or WORKS:
            with tempfile.TemporaryDirectory() as folder:
                figures = run_work(work, ways or tuple(WAYS), settings, Path(folder), seconds, rounds, memory)
            found.append(figures)
            click.echo("\n".join(lines(figures)))
    click.echo(f"{time.monotonic() - began:.0f} s in total")
    asked = {
        "seconds": seconds,
        "rounds": rounds,
        "precision": precision,
        "fakes": fakes,
        "full": full,
        "overrides": list(overrides),
    }
    if out is not None:
        write_json(out, {"machine": here, "settings": asked, "results": found})


if __name__ == "__main__":
    main()
