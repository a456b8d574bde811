"""The pictures of a run: fixed latents and conditions, and one thing changing at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ganforge.api import DataSpec, per_sample
from ganforge.engine.instruments.frozen_buffers import kept_buffers
from ganforge.engine.random import generator_for, stream_seed
from ganforge.engine.sampling.sampler import GeneratorSampler

ROWS = 8
"""Latents in a picture that changes one thing at a time."""
COLUMNS = 10
"""Values of a continuous code."""
MESH = 64
"""Places along each side of the critic's picture of the plane."""
MOST_LABELS = 24
"""Labels in the picture of conditions; of more, the first."""


class Backdrop(NamedTuple):
    """What samples in the plane are drawn over: the data, and the critic's opinion of each place."""

    data: Tensor
    """[m, 2] real points."""
    logits: Tensor
    """[MESH, MESH]: row by row from the bottom, over the square from -extent to extent."""
    extent: float


class Grid(NamedTuple):
    """Samples to be shown together."""

    name: str
    """samples, conditions, or the name of a code."""
    images: Tensor
    """[n, *shape], row by row."""
    columns: int
    backdrop: Backdrop | None = None


def grids(sampler: GeneratorSampler, seed: int, samples: int) -> Iterator[Grid]:
    """The same latents each time, so that pictures of one run can be laid over each other.

    `samples` draws; then each code of the prior along the columns; then each label.
    """
    seed = stream_seed(seed, "grid")
    yield Grid("samples", sampler.sample(samples, seed), 8)
    for name, z in sampler.prior.traversals(ROWS, COLUMNS, generator_for(seed, "codes")).items():
        columns = z.shape[1]
        cond = None if sampler.labels is None else sampler.conditions(ROWS, seed)
        if cond is not None:
            cond = cond.repeat_interleave(columns, dim=0)
        yield Grid(name, sampler.generate(z.flatten(0, 1), cond), columns)
    labels = sampler.spec.labels
    if labels.kind in ("one_of_k", "many_of_k") and sampler.spec.is_image:
        columns = min(labels.width, MOST_LABELS)
        z = sampler.latents(ROWS, seed).z.repeat_interleave(columns, dim=0)
        cond = torch.eye(labels.width)[:columns].repeat(ROWS, 1)
        yield Grid("conditions", sampler.generate(z, cond), columns)


def with_backdrop(grid: Grid, spec: DataSpec, critic: nn.Module, data: Tensor, count: int) -> Grid:
    """Samples in the plane, over what `backdrop` shows; any others as they are."""
    if spec.shape != (2,) or spec.labels.kind != "none":
        return grid
    return grid._replace(backdrop=backdrop(critic, data, count))


@torch.no_grad()
def backdrop(critic: nn.Module, data: Tensor, count: int) -> Backdrop:
    """For data in the plane: `count` points of it, and the critic's logits around them.

    The critic must take no condition: a picture has no third axis to show one.
    """
    data = data[:count].float().cpu()
    extent = 1.25 * float(data.abs().max())
    axis = torch.linspace(-extent, extent, MESH)
    places = torch.cartesian_prod(axis, axis).flip(1)
    device = next(critic.parameters()).device
    with kept_buffers([critic]):
        logits = per_sample(critic(places.to(device), None).logits)
    return Backdrop(data, logits.float().cpu().view(MESH, MESH), extent)
