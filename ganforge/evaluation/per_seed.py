"""Metrics of a run, one value per seed, for a figure that shows their spread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ganforge.api import Context
from ganforge.components.calls import values_of
from ganforge.components.comparability import describe
from ganforge.components.registry import Registry
from ganforge.evaluation.default_metrics import default_metrics
from ganforge.evaluation.evaluate import (
    Evaluation,
    EvaluationSampler,
    LazySamples,
    open_generator,
    read_metrics,
)
from ganforge.outputs.run_folder import RunFolder
from ganforge.training.build import load_samples


@dataclass(frozen=True)
class PerSeed:
    """One quantity: a value for each seed."""

    name: str
    seeds: tuple[int, ...]
    values: tuple[float, ...]
    ceiling: float | None
    """The judge's own value on held-out real images."""


def per_seed(
    folder: Path, registry: Registry, asked: Evaluation, context: Context, wanted: Callable[[str], bool]
) -> list[PerSeed]:
    """The quantities of the run's metrics, or of the default ones, whose names are `wanted`: each for
    `asked.seeds` seeds. Raises `UserError` if there are no metrics."""
    run = RunFolder.open(folder)
    config, metrics = read_metrics(run, registry, asked, optional=asked.judge is not None)
    generator = open_generator(run, config, asked, context.say)
    spec = generator.sampler.spec
    samples = LazySamples(lambda: load_samples(config, spec, context))
    sampler = EvaluationSampler(generator.sampler, samples)
    if asked.judge is not None and not metrics:
        metrics = default_metrics(config, spec, samples, registry, context, asked.judge)
    found = []
    for metric in metrics:
        once = {"repeats": 1} if "repeats" in type(metric).model_fields else {}
        seeds = tuple(metric.seed + step for step in range(asked.seeds or 10))
        rows = []
        for seed in context.track(seeds, len(seeds), metric.type):
            rows.append(values_of(metric.model_copy(update={"seed": seed, **once}), sampler, samples))
        card = describe(metric, spec)["files"].get("judge", {}).get("accuracy", {})
        for name in filter(wanted, rows[0]):
            best = next((value for kind, value in card.items() if name.endswith(f"_{kind}")), None)
            found.append(PerSeed(name, seeds, tuple(row[name] for row in rows), best))
    return found
