"""Writes the tables of docs/scaling.md: what data parallelism costs and gains on 1 to 64 GPUs.

    python docs/scaling.py

What a network needs is counted, by building the example's networks and by tracing its real update;
what a cluster gives is assumed, in `GPU` and `LINKS` below. Change those for another cluster.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ganforge.api import DataSpec, Samples
from ganforge.components.registry import discover
from ganforge.config import load
from ganforge.engine.distributed.runtime import Runtime
from ganforge.engine.kernels.convolution import convolutions_by_torch
from ganforge.engine.loop import Loop
from ganforge.engine.sampling.grids import Grid
from ganforge.profiling.flops import flops
from ganforge.training.build import Plan, build_loop, plan

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
TRACED = 4
"""Samples in a traced update; arithmetic grows with them, the number of operations does not."""

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


@dataclass(frozen=True)
class Needs:
    """What an example needs; counted."""

    name: str
    g: int
    d: int
    """Parameters."""
    flops: float
    """Of one iteration, by images shown, with the terms; forward and backward."""
    operations: float
    """In one iteration, without those that only look at a tensor in another way."""
    batch: int
    d_updates: int
    g_updates: int
    sample: int
    """Bytes of one sample as the data set keeps it."""
    checkpoint: int
    """Bytes of the tensors in a checkpoint."""
    images: int
    checkpoint_every: int
    keep: int

    @property
    def messages(self) -> tuple[int, ...]:
        """Bytes of each all-reduce in an iteration: one for each update, all gradients in one."""
        return (4 * self.d,) * self.d_updates + (4 * self.g,) * self.g_updates


class Counter(TorchDispatchMode):
    """Counts what torch dispatches, and its FLOPs. Torch's own counter cannot follow the second derivative of
    a gradient penalty, and counts the gradient of a grouped convolution too high."""

    def __init__(self) -> None:
        super().__init__()
        self.operations = 0
        self.flops = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        self.operations += not func.is_view
        self.flops += flops(func, args, kwargs, result)
        return result


class Nobody:
    """An observer that is told and keeps nothing."""

    def row(self, row: Mapping[str, float | int]) -> None: ...

    def tick(self, images_seen: int) -> None: ...

    def grid(self, images_seen: int, grid: Grid) -> None: ...

    def say(self, line: str) -> None: ...


def count(name: str) -> Needs:
    """Builds an example's networks on the meta device, and traces its update on noise."""
    file, registry = HERE.parent / "examples" / f"{name}.toml", discover()
    config = load(file, registry)
    parameters = {
        side: sum(part.numel() for part in network.parameters())
        for side, network in plan(config).networks("meta")._asdict().items()
    }
    small = [f"train.batch_size={TRACED}", "train.accumulate=1", "train.device=cpu", "train.precision=no"]
    agreed = plan(load(file, registry, small))
    per_image, operations, checkpoint = _traced(agreed)
    train, logging = config.train, config.logging
    points = len(agreed.spec.shape) == 1
    return Needs(
        name=name,
        g=parameters["generator"],
        d=parameters["discriminator"],
        flops=per_image,
        operations=operations,
        batch=train.batch_size,
        d_updates=train.d_updates,
        g_updates=train.g_updates,
        sample=math.prod(agreed.spec.shape) * (4 if points else 1),
        checkpoint=checkpoint,
        images=train.images,
        checkpoint_every=logging.checkpoint_every,
        keep=logging.keep_checkpoints,
    )


def _traced(agreed: Plan) -> tuple[float, float, int]:
    """FLOPs an image, operations an iteration, and bytes of a checkpoint. As many iterations as it
    takes until every lazy term has had its turn once."""
    with tempfile.TemporaryDirectory() as folder:
        runtime = Runtime(agreed.config.train)
        loop = build_loop(agreed, _noise(agreed.spec), runtime, Nobody(), Path(folder))
    turns = math.lcm(*(term.every for term in agreed.config.terms), 1)
    # As on a GPU.
    with convolutions_by_torch(), Counter() as counter:
        for turn in range(turns):
            _iterate(loop, turn)
    tensors, _ = loop.state()
    size = sum(each.numel() * each.element_size() for group in tensors.values() for each in group.values())
    images = turns * TRACED * agreed.config.train.d_updates
    return counter.flops / images, counter.operations / turns, size


def _iterate(loop: Loop, turn: int) -> None:
    for role in loop.schedule:
        loop.game.update(role, loop.batches.at(turn))


def _noise(spec: DataSpec) -> Samples:
    """Samples of the data's kind without its content."""
    if len(spec.shape) == 1:
        return Samples(torch.randn(TRACED, *spec.shape), None)
    labels = None
    if spec.labels.width:
        labels = torch.zeros(TRACED, spec.labels.width, dtype=torch.uint8)
        labels[:, 0] = 1
    return Samples(torch.randint(0, 256, (TRACED, *spec.shape), dtype=torch.uint8), labels)


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
