"""What an example needs: its networks are built, and its real update is traced."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping
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
TRACED = 4
"""Samples in a traced update; arithmetic grows with them, the number of operations does not."""


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
