"""The pictures of a run: fixed latents and conditions, and one thing changing at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from ganforge.engine.sampler import GeneratorSampler
from ganforge.engine.streams import generator_for, stream_seed

ROWS = 8
"""Latents in a picture that changes one thing at a time."""
COLUMNS = 10
"""Values of a continuous code."""
MOST_LABELS = 24
"""Labels in the picture of conditions; of more, the first."""


class Grid(NamedTuple):
    """Samples to be shown together."""

    name: str
    """samples, conditions, or the name of a code."""
    images: Tensor
    """[n, *shape], row by row."""
    columns: int


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
