"""Metrics of real images instead of generated ones: an upper bound for the generator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganforge.api import Context, DataSpec, Draw, Samples, UserError, taken
from ganforge.api.judge.features import real
from ganforge.components.registry import Registry
from ganforge.engine.random import generator_for
from ganforge.evaluation.evaluate import Evaluation, EvaluationSampler, LazySamples, measure, read_metrics
from ganforge.outputs.run_folder import RunFolder
from ganforge.training.build import load_samples


class RealSampler(EvaluationSampler):
    """Real images in the role of a generator."""

    def __init__(self, samples: Samples, spec: DataSpec) -> None:
        self.samples = samples
        self.spec = spec
        self.drawn = 0

    def draw(self, n: int, seed: int, cond: Tensor | None = None) -> tuple[Tensor, Draw]:
        """`n` different images. Raises `UserError` for more than there are, and for conditions."""
        if cond is not None:
            raise UserError(
                "real images cannot be generated for a given condition; for metrics of conditions the "
                "judge's own accuracy is the upper bound: see its judge.json"
            )
        if n > len(self.samples):
            raise UserError(
                f"{n:,} samples requested, but the half of the real images used in their place has "
                f"{len(self.samples):,}; set samples = {len(self.samples)} or less"
            )
        rows = torch.randperm(len(self.samples), generator=generator_for(seed, "real samples"))[:n]
        self.drawn += n
        return real(self.samples, rows), Draw(torch.zeros(n, 0), None, {})


def evaluate_real(folder: Path, registry: Registry, asked: Evaluation, context: Context) -> dict[str, Any]:
    """The metrics of one half of the run's training images against the other.

    Nothing is written: the values are not the run's. Raises `UserError` for incompatible arguments.
    """
    run = RunFolder.open(folder)
    config, metrics = read_metrics(run, registry, asked)
    spec = run.read_data_spec()
    reference, stand_ins = halves(load_samples(config, spec, context))
    sampler, data = RealSampler(stand_ins, spec), LazySamples(lambda: reference)
    rows = [measure(metric, sampler, data, asked.seeds) for metric in metrics]
    return {"network": "real", "images_seen": 0, "metrics": rows}


def halves(samples: Samples) -> tuple[Samples, Samples]:
    """A random split in two halves; images of one group stay together."""
    everything = torch.arange(len(samples))
    groups, member_of = torch.unique(
        everything if samples.groups is None else samples.groups.cpu(), return_inverse=True
    )
    order = torch.randperm(len(groups), generator=generator_for(0, "halves"))
    first = torch.zeros(len(groups), dtype=torch.bool)
    first[order[: len(groups) // 2]] = True
    chosen = first[member_of]
    return _only(samples, everything[chosen]), _only(samples, everything[~chosen])


def _only(samples: Samples, rows: Tensor) -> Samples:
    rows = rows.to(samples.images.device)
    labels = taken(samples.labels, rows)
    groups = None if samples.groups is None else samples.groups[rows.to(samples.groups.device)]
    return Samples(samples.images[rows], labels, samples.mirror, groups)
