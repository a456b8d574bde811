"""The sample grids of a run: fixed latents and conditions, and traversals of one factor at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.api import DataSpec, Images, LabelSpec, Task, Tree, per_sample, taken
from ganforge.components.calls import pictures_of
from ganforge.config import RunConfig
from ganforge.engine.instruments.frozen_buffers import kept_buffers
from ganforge.engine.random import generator_for, stream_seed
from ganforge.engine.sampling.sampler import GeneratorSampler

ROWS = 8
"""Latents in a traversal."""
COLUMNS = 10
"""Values of a continuous code."""
MESH = 64
"""Points along each side of the grid on which the critic is evaluated."""
MAX_LABELS = 24
"""Maximum number of labels in the grid of conditions; the first ones."""


class Backdrop(NamedTuple):
    """Background for 2-D samples: real points, and the critic's logits over the plane."""

    real: Tensor
    """[m, 2] points of the data set."""
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
    across: tuple[str, ...] = ()
    """What each column shows; empty if the columns have no meaning."""
    down: tuple[str, ...] = ()
    """What each row shows."""
    backdrop: Backdrop | None = None


def pictures(sampler: GeneratorSampler, config: RunConfig, critic: nn.Module, real: Images) -> Iterator[Grid]:
    """The grids of a run as its data set draws samples. Points of a plain GAN lie over the `real` ones and
    the critic's logits."""
    count = config.logging.grid_samples
    for grid in grids(sampler, config.train.seed, count):
        grid = grid._replace(images=pictures_of(config.data, grid.images))
        # In other tasks the critic may judge something else than samples.
        plain = type(config.task).compare is Task.compare
        yield with_backdrop(grid, sampler.spec, critic, real, count) if plain else grid


def grids(sampler: GeneratorSampler, seed: int, samples: int) -> Iterator[Grid]:
    """The same latents each time, so that grids of one run are comparable.

    `samples` draws; then each code of the prior along the columns; then each label.
    """
    seed = stream_seed(seed, "grid")
    yield Grid("samples", sampler.sample(samples, seed), 8)
    traversals = sampler.prior.traversals(ROWS, COLUMNS, generator_for(seed, "codes"))
    codes = {code.name: code for code in sampler.prior.codes()}
    for name, z in traversals.items():
        columns = z.shape[1]
        cond = None if sampler.labels is None else sampler.conditions(ROWS, seed)
        cond = taken(cond, torch.arange(ROWS).repeat_interleave(columns))
        values = sampler.prior.code_values(codes[name], COLUMNS)
        across = tuple(f"{name} = {value:.3g}" for value in values)
        yield Grid(name, sampler.generate(z.flatten(0, 1), cond), columns, across, noises(ROWS))
    for name, labels in sampler.spec.labels.each.items():
        if labels.kind == "image" and sampler.labels is not None:
            yield _with_images(sampler, name, seed)
        if labels.kind in ("one_of_k", "many_of_k") and sampler.spec.is_image:
            yield _across_labels(sampler, name, labels, seed)


def noises(rows: int) -> tuple[str, ...]:
    """Names of rows that differ by their noise."""
    return tuple(f"noise {row}" for row in range(1, rows + 1))


def with_backdrop(grid: Grid, spec: DataSpec, critic: nn.Module, real: Images, count: int) -> Grid:
    """2-D samples over a `backdrop`; any others unchanged."""
    if spec.shape != (2,) or spec.labels.kind != "none":
        return grid
    return grid._replace(backdrop=backdrop(critic, real, count))


def _with_images(sampler: GeneratorSampler, name: str, seed: int) -> Grid:
    """Image conditions, and to the right of each what is made of it, four pairs a row."""
    cond = sampler.conditions(2 * ROWS, seed)
    given = cond[name] if name else cond
    images = sampler.generate(sampler.latents(len(given), seed).z, cond)
    channels, *side = images.shape[1:]
    shown = F.interpolate(given, side, mode="nearest")
    # Grey next to color, and whatever has more channels by its first ones.
    shown = shown.expand(-1, channels, -1, -1) if shown.shape[1] == 1 else shown[:, :channels]
    images = images if shown.shape[1] == channels else images[:, : shown.shape[1]]
    pairs = torch.stack([shown, images], dim=1).flatten(0, 1)
    return Grid(_grid_name(name), pairs, 8, (name or "condition", "sample") * 4)


def _across_labels(sampler: GeneratorSampler, name: str, labels: LabelSpec, seed: int) -> Grid:
    """One label after the other, everything else from row to row: the noise, and the other conditions."""
    columns = min(labels.width, MAX_LABELS)
    z = sampler.latents(ROWS, seed).z.repeat_interleave(columns, dim=0)
    cond: Tree = torch.eye(labels.width)[:columns].repeat(ROWS, 1)
    if name and sampler.labels is not None:
        others = taken(sampler.conditions(ROWS, seed), torch.arange(ROWS).repeat_interleave(columns))
        cond = {**others, name: cond}
    across = tuple(labels.names[:columns])
    return Grid(_grid_name(name), sampler.generate(z, cond), columns, across, noises(ROWS))


def _grid_name(condition: str) -> str:
    return f"conditions_{condition}" if condition else "conditions"


@torch.no_grad()
def backdrop(critic: nn.Module, real: Images, count: int) -> Backdrop:
    """For 2-D data: `count` real points, and the critic's logits around them.

    The critic must be unconditional: a 2-D plot has no axis for a condition.
    """
    real = real[:count].float().cpu()
    extent = 1.25 * float(real.abs().max())
    axis = torch.linspace(-extent, extent, MESH)
    places = torch.cartesian_prod(axis, axis).flip(1)
    device = next(critic.parameters()).device
    with kept_buffers([critic]):
        logits = per_sample(critic(places.to(device), None).logits)
    return Backdrop(real, logits.float().cpu().view(MESH, MESH), extent)
