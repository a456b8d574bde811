"""Options that mean the same in every command that has them."""

from __future__ import annotations

import click

seed = click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Same seed, same result."
)
checkpoint = click.option(
    "--checkpoint",
    "choice",
    default="newest",
    show_default=True,
    help="newest, best (by logging.keep_best), or a number of images seen.",
)
device = click.option("--device", default="cpu", show_default=True, help="cpu, cuda, or auto.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
