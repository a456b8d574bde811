"""Writes the tables of docs/scaling.md: what data parallelism costs and gains on 1 to 64 GPUs.

    python docs/scaling.py

What a network needs is counted, by building the example's networks and by tracing its real update;
what a cluster gives is assumed, in `GPU` and `LINKS` below. Change those for another cluster.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from scaling_counts import Needs, count

HERE = Path(__file__).resolve().parent
PAGE = HERE / "scaling.md"
BEGIN, END = "<!-- {}: begin -->", "<!-- {}: end -->"

EXAMPLES = (
    "toy/gan_ring8",
    "mnist/wgan_gp",
    "cgan_iclevr",
    "baselines/cgan_iclevr_dcgan",
    "iclevr32/sngan_projection",
    "iclevr32/biggan",
    "iclevr32/r3gan",
)
WORLDS = (1, 2, 4, 8, 16, 32, 64)

PER_NODE = 8
"""GPUs in a node."""
LOCAL_BATCH = 64
"""Images a GPU has in an update where the batch grows with the GPUs."""
STORE = 1e9
"""Bytes a second that a shared file system takes from one writer."""


@dataclass(frozen=True)
class Gpu:
    """What one GPU gives."""

    flops: float
    """FLOP/s that convolutions of this size reach."""
    launch_s: float
    """Seconds that the host needs to start an operation; a small batch waits for that."""


@dataclass(frozen=True)
class Link:
    """What connects GPUs."""

    name: str
    rate: float
    """Bytes a second in and out of the slowest place of the ring."""
    latency_s: float
    """Of one step of the ring."""


GPU = Gpu(flops=40e12, launch_s=6e-6)
INSIDE = Link("NVLink", 195e9, 10e-6)
LINKS = (
    Link("10 GbE", 1.1e9, 50e-6),
    Link("25 GbE", 2.8e9, 50e-6),
    Link("100 Gb/s InfiniBand", 11e9, 20e-6),
    Link("400 Gb/s InfiniBand", 45e9, 20e-6),
    Link("the same without latency", 45e9, 0.0),
)
USUAL = LINKS[2]


def all_reduce(size: float, world: int, between: Link = USUAL) -> float:
    """Seconds of a ring all-reduce of `size` bytes: 2(n-1) steps, each of size/n over the slowest link.

    Source: Bandwidth optimal all-reduce algorithms for clusters of workstations (Patarasuk, Yuan,
    2009), section 3.
    """
    link = INSIDE if world <= PER_NODE else between
    return 2 * (world - 1) / world * size / link.rate + 2 * (world - 1) * link.latency_s


def compute(needs: Needs, local_batch: float) -> float:
    """Seconds of an iteration's arithmetic on one GPU: at least what it takes to start it."""
    images = local_batch * needs.d_updates
    return max(needs.flops * images / GPU.flops, needs.operations * GPU.launch_s)


def iteration(needs: Needs, batch: int, world: int, between: Link = USUAL) -> float:
    """Seconds of an iteration with a global batch; the gradients travel after the backward pass, not
    during it."""
    travel = sum(all_reduce(size, world, between) for size in needs.messages) if world > 1 else 0.0
    return compute(needs, batch / world) + travel


def strong(needs: Needs, batch: int, world: int, between: Link = USUAL) -> float:
    """How many times faster than one GPU, with the batch as it is."""
    return iteration(needs, batch, 1) / iteration(needs, batch, world, between)


def weak(needs: Needs, world: int, between: Link = USUAL, local: int = LOCAL_BATCH) -> float:
    """Share of `world` times the images of one GPU that is reached, with a batch that grows."""
    return iteration(needs, local, 1) / iteration(needs, local * world, world, between)


def pays_up_to(needs: Needs, batch: int, between: Link = USUAL) -> int:
    """The most GPUs at which each still does half of what a single one does."""
    return max(world for world in WORLDS if strong(needs, batch, world, between) >= world / 2)


def tables(found: Sequence[Needs]) -> dict[str, str]:
    """Name of a table -> its Markdown."""
    return {
        "counted": _counted(found),
        "strong": _strong(found),
        "weak": _weak(found),
        "data": _data(found),
        "checkpoints": _checkpoints(found),
    }


def _counted(found: Sequence[Needs]) -> str:
    head = (
        "example",
        "G",
        "D",
        "sent in an iteration",
        "GFLOP per image",
        "operations",
        "batch",
        "waits for",
    )
    rows = []
    for each in found:
        bound = (
            "arithmetic"
            if each.flops * each.batch * each.d_updates / GPU.flops > _launch(each)
            else "launches"
        )
        sent = f"{sum(each.messages) / 1e6:.1f} MB in {len(each.messages)}"
        rows.append(
            (each.name, f"{each.g:,}", f"{each.d:,}", sent, f"{each.flops / 1e9:.3g}",
             f"{each.operations:,.0f}", str(each.batch), bound)
        )  # fmt: skip
    torch_version = ".".join(torch.__version__.split(".")[:2])
    return f"{_table(head, rows)}\n\nCounted with torch {torch_version}."


def _strong(found: Sequence[Needs]) -> str:
    head = ("example", "batch", *(f"{world} GPUs" for world in WORLDS[1:]), "pays up to")
    rows = []
    for each in found:
        for batch in (each.batch, 2048):
            gains = [f"{strong(each, batch, world):.2f}" for world in WORLDS[1:]]
            rows.append((each.name, f"{batch:,}", *gains, str(pays_up_to(each, batch))))
    return _table(head, rows)


def _weak(found: Sequence[Needs]) -> str:
    head = ("example", "8 GPUs", *(f"64, {link.name}" for link in LINKS))
    rows = [
        (each.name, f"{weak(each, 8):.0%}", *(f"{weak(each, 64, link):.0%}" for link in LINKS))
        for each in found
    ]
    return _table(head, rows)


def _data(found: Sequence[Needs]) -> str:
    head = (
        "example",
        "bytes per sample",
        "images/s of a GPU",
        "MB/s of a GPU",
        "MB/s of a node",
        "MB/s of 64 GPUs",
    )
    rows = []
    for each in found:
        rate = LOCAL_BATCH * each.d_updates / iteration(each, LOCAL_BATCH, 1)
        node, all_of_them = (world * rate * weak(each, world) for world in (PER_NODE, 64))
        megabytes = [f"{images * each.sample / 1e6:,.1f}" for images in (rate, node, all_of_them)]
        rows.append((each.name, f"{each.sample:,}", f"{rate:,.0f}", *megabytes))
    return _table(head, rows)


def _checkpoints(found: Sequence[Needs]) -> str:
    head = (
        "example",
        "one checkpoint",
        "kept",
        "every",
        "written in a run",
        "seconds each",
        "share of the time of 64 GPUs",
    )
    rows = []
    for each in found:
        count = math.ceil(each.images / each.checkpoint_every)
        rate = 64 * LOCAL_BATCH * each.d_updates / iteration(each, 64 * LOCAL_BATCH, 64)
        share = each.checkpoint / STORE / (each.checkpoint_every / rate)
        rows.append(
            (each.name, _megabytes(each.checkpoint), _megabytes(each.keep * each.checkpoint),
             f"{each.checkpoint_every:,} images", _megabytes(count * each.checkpoint),
             f"{each.checkpoint / STORE:.3f}", f"{share:.1%}")
        )  # fmt: skip
    return _table(head, rows)


def _launch(needs: Needs) -> float:
    return needs.operations * GPU.launch_s


def _megabytes(size: float) -> str:
    return f"{size / 1e6:,.1f} MB"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---", *("---:" for _ in head[1:])], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def written(page: str, found: Mapping[str, str]) -> str:
    """The page with each table in its place."""
    for name, table in found.items():
        begin, end = BEGIN.format(name), END.format(name)
        before, after = page.split(begin)[0], page.split(end)[1]
        page = f"{before}{begin}\n{table}\n{end}{after}"
    return page


def main() -> None:
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(written(page, tables([count(name) for name in EXAMPLES])), encoding="utf-8")


if __name__ == "__main__":
    main()
