"""Has the generator memorized its training images? Its samples next to their nearest ones.

A sample's distance to the nearest training image means little on its own, so the same is measured for
real images, each against the others: a generator of novel images is about as far from the training
images as they are from one another; one that copies them is much nearer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ganforge.api import Context, Samples, UserError
from ganforge.api.judge.features import FeatureSpace, real
from ganforge.components.registry import Registry
from ganforge.engine.random import generator_for
from ganforge.evaluation.sample import open_generator
from ganforge.outputs.atomic import write_bytes, write_json
from ganforge.outputs.run_folder import RunFolder
from ganforge.training.build import load_samples
from ganforge.training.recorded import load_recorded

CHUNK = 1024
"""Training images in memory at a time."""


@dataclass(frozen=True)
class Search:
    """Arguments of `ganforge neighbours`."""

    n: int = 8
    """Number of samples to draw."""
    k: int = 3
    """Neighbours per sample."""
    judge: Path | None = None
    """Judge whose features are compared; None = pixels."""
    count: int = 256
    """Number of samples and of real images used for the summary."""
    seed: int = 0
    overrides: Sequence[str] = ()
    checkpoint: str = "newest"
    device: str = "cpu"


class Neighbours(NamedTuple):
    """The nearest training images of Q images, nearest first."""

    distances: Tensor
    """[Q, k]; infinite if there are fewer."""
    rows: Tensor
    """int64 [Q, k]: their indices in the data."""
    mirrored: Tensor
    """bool [Q, k]: nearest when flipped left to right."""

    def of(self, part: slice) -> Neighbours:
        return Neighbours(*(field[part] for field in self))


def find_neighbours(folder: Path, registry: Registry, asked: Search, out: Path, context: Context) -> str:
    """Writes the image `out` and its numbers next to it as JSON, and returns the summary.

    Raises `UserError` for incompatible arguments, and then nothing is written.
    """
    generator = open_generator(folder, registry, context.say, choice=asked.checkpoint, device=asked.device)
    spec = generator.spec
    if not spec.is_image:
        raise UserError(f"expected a run on images; the samples of {folder} have shape {spec.shape}")
    space = FeatureSpace.open(asked.judge, spec)
    data = load_samples(load_recorded(RunFolder.open(folder), registry, asked.overrides), spec, context)
    refuse_misfit(asked, data)
    generator.sampler.labels = data.labels
    samples = generator.sampler.sample(asked.count, asked.seed)
    own = torch.randperm(len(data), generator=generator_for(asked.seed, "neighbours"))[: asked.count]
    queries = torch.cat([space(samples), space.of_real(data, own)])
    if not queries.isfinite().all():
        raise UserError(f"the generator of {folder} returned non-finite values")
    # Searched together, so that the training images are read only once.
    found = nearest(queries, torch.cat([torch.full_like(own, -1), own]), data, space, asked.k, context)
    figures = summary(found, queries, asked.count)
    record = {
        "images_seen": generator.images_seen,
        "seed": asked.seed,
        **space.provenance(),
        "judge": space.judge.provenance() if space.judge else None,
        "training_images": len(data),
        "mirrored_too": data.mirror,
        "count": asked.count,
        "summary": {name: value if math.isfinite(value) else None for name, value in figures.items()},
        "samples": listed(found.of(slice(0, asked.count)), range(asked.count)),
        "real": listed(found.of(slice(asked.count, None)), own.tolist()),
    }
    shown = torch.cat([samples[: asked.n], real(data, own[: asked.n])])
    places = torch.cat([torch.arange(asked.n), asked.count + torch.arange(asked.n)])
    picked = Neighbours(*(field[places] for field in found))
    out.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(out, _sheet(shown, picked, data))
    write_json(out.with_suffix(".json"), record)
    return summary_text(record)


def refuse_misfit(asked: Search, samples: Samples) -> None:
    """Raises `UserError` if more is requested than the data has."""
    if asked.n > asked.count:
        raise UserError(f"--n {asked.n} exceeds --count {asked.count}; raise --count")
    for what, option, wanted, most in (
        ("images", "--count", asked.count, len(samples)),
        ("neighbours of each", "--k", asked.k, len(samples) - 1),
    ):
        if wanted > most:
            raise UserError(
                f"{wanted:,} {what} requested, but the data has {len(samples):,} images; "
                f"pass {option} {most} or less"
            )


def nearest(
    queries: Tensor, own: Tensor, samples: Samples, space: FeatureSpace, k: int, context: Context
) -> Neighbours:
    """The `k` nearest images of `data` to `queries` [Q, F]; `own` int64 [Q] is the query's index in
    the data, or -1. The query itself and images of its group are excluded.

    Flipped images count if training flips them. Memory grows with Q, not with the data.
    """
    empty = torch.zeros(len(queries), 0)
    best = Neighbours(empty, empty.long(), empty.bool())
    parts = [
        (rows, flip) for rows in torch.split(torch.arange(len(samples)), CHUNK) for flip in _flips(samples)
    ]
    for rows, flip in context.track(parts, len(parts), "searching for neighbours"):
        points = _features(rows, flip, samples, space)
        distances = torch.cdist(queries, points, compute_mode="use_mm_for_euclid_dist")
        distances[_alike(own, rows, samples)] = math.inf
        numbers = rows.expand(len(queries), -1)
        pool = (distances, numbers, torch.full_like(numbers, flip, dtype=torch.bool))
        joined = Neighbours(*(torch.cat(pair, dim=1) for pair in zip(best, pool, strict=True)))
        order = joined.distances.topk(min(k, joined.distances.shape[1]), dim=1, largest=False).indices
        best = Neighbours(*(field.gather(1, order) for field in joined))
    return _exact(queries, best, samples, space)


def summary(found: Neighbours, queries: Tensor, count: int) -> dict[str, float]:
    """Distances of the first `count` queries, which are samples, and of the others, which are real."""
    sample_to_real, real_to_real = found.distances[:count, 0], found.distances[count:, 0]
    among_samples, among_real = (torch.pdist(part).mean() for part in (queries[:count], queries[count:]))
    return {
        "sample_to_nearest_median": float(sample_to_real.median()),
        "sample_to_nearest_least": float(sample_to_real.min()),
        "real_to_nearest_median": float(real_to_real.median()),
        "real_to_nearest_least": float(real_to_real.min()),
        "memorisation_ratio": float(sample_to_real.median() / real_to_real.median()),
        "between_samples_mean": float(among_samples),
        "between_real_mean": float(among_real),
        "diversity_ratio": float(among_samples / among_real),
    }


def listed(found: Neighbours, names: Sequence[int]) -> list[dict[str, Any]]:
    """For each query its index and its neighbours."""
    return [
        {
            "index": name,
            "neighbours": [
                {"row": row, "mirrored": flip, "distance": distance}
                for distance, row, flip in zip(*each, strict=True)
                if math.isfinite(distance)
            ],
        }
        for name, *each in zip(names, *(field.tolist() for field in found), strict=True)
    ]


def summary_text(record: dict[str, Any]) -> str:
    """The summary, for the terminal."""
    space = "a judge's features" if record["judge"] else f"pixels, {record['resizer']}"
    figures = {
        name: "not finite" if value is None else f"{value:.4g}" for name, value in record["summary"].items()
    }
    return "\n".join(
        [
            f"generator after {record['images_seen']:,} images; {record['count']:,} samples and as many real "
            f"images, compared with {record['training_images']:,}; distances in {space}",
            f"  sample to nearest training image   median {figures['sample_to_nearest_median']}, "
            f"minimum {figures['sample_to_nearest_least']}",
            f"  real image to nearest other one    median {figures['real_to_nearest_median']}, "
            f"minimum {figures['real_to_nearest_least']}",
            f"  memorization ratio (medians)        {figures['memorisation_ratio']}"
            "   (near 0: copies; about 1: as novel as real images; above: unlike them)",
            f"  between samples, between real      mean {figures['between_samples_mean']}, "
            f"{figures['between_real_mean']}",
            f"  diversity ratio (means)             {figures['diversity_ratio']}"
            "   (well below 1: less diverse than the data)",
        ]
    )


def _flips(samples: Samples) -> tuple[bool, ...]:
    return (False, True) if samples.mirror else (False,)


def _features(rows: Tensor, flip: bool, samples: Samples, space: FeatureSpace) -> Tensor:
    images = real(samples, rows)
    return space(images.flip(3) if flip else images)


def _alike(own: Tensor, rows: Tensor, samples: Samples) -> Tensor:
    """bool [Q, B]: which of `rows` are the query itself or of its group."""
    if samples.groups is None:
        return own[:, None] == rows
    groups = samples.groups.cpu()
    # Samples have index -1, and the group found there is not theirs.
    return (groups[own][:, None] == groups[rows]) & (own >= 0)[:, None]


def _exact(queries: Tensor, found: Neighbours, samples: Samples, space: FeatureSpace) -> Neighbours:
    """`found` with distances recomputed exactly: those from the matrix product lose precision where
    they are small, which is where copies show."""
    columns = []
    for rows, flips, column in zip(found.rows.T, found.mirrored.T, found.distances.T, strict=True):
        plain, flipped = (_features(rows, flip, samples, space) for flip in (False, True))
        points = torch.where(flips[:, None], flipped, plain)
        columns.append((queries - points).norm(dim=1).where(column.isfinite(), column))
    distances, order = torch.stack(columns, dim=1).sort(dim=1, stable=True)
    return Neighbours(distances, found.rows.gather(1, order), found.mirrored.gather(1, order))


def _sheet(shown: Tensor, found: Neighbours, samples: Samples) -> bytes:
    """The figure: `shown` [2n, C, H, W] are samples, then as many real images."""
    # Matplotlib is slow to import, and errors should come fast.
    from ganforge.outputs.figures import render
    from ganforge.outputs.neighbour_sheet import Strip, draw_sheet

    strips = []
    for image, distances, rows, flips in zip(shown, *found, strict=True):
        near = real(samples, rows)
        near = torch.where(flips[:, None, None, None], near.flip(3), near)
        strips.append(Strip(image, near, distances.tolist(), flips.tolist()))
    half = len(strips) // 2
    return render(draw_sheet(strips[:half], strips[half:]), "png")
