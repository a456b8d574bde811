"""What a run's latent space can be asked: ways, walks, mixtures, projections."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganforge.api import Tree, UserError, length, taken
from ganforge.engine.sampling.grids import noises
from ganforge.evaluation import paths
from ganforge.evaluation.projection import Projection, project, read_target
from ganforge.evaluation.sample import TrainedGenerator, condition_rows
from ganforge.evaluation.sheets import Sheet
from ganforge.facade.drawn import DrawnSamples
from ganforge.outputs.labels import Names

Condition = str | Path | Sequence[Any] | Mapping[str, Any] | Tensor
"""One condition as text ("red cube, blue sphere", "0.5, -1", the path of an image), as a list of names or
numbers; several as a list of lists; or rows for the generator [K], [m, K] or [m, C, H, W]. Where a sample
has several conditions, a dict of such by name ("label = 3; angle = 0.5"), or a list of dicts."""
LEVELS = (0.3, 0.5, 0.7, 1.0)
"""Truncations of a sheet, before the samples without."""


class LatentSpace(ABC):
    """The part of a run that moves through its latent space."""

    @abstractmethod
    def _generator(self, truncation: float | None) -> TrainedGenerator: ...

    @abstractmethod
    def _rows(self, condition: Condition | None) -> Tree: ...

    def interpolate(
        self,
        condition: Condition | None = None,
        *,
        seeds: tuple[int, int] | None = None,
        rows: int = 8,
        steps: int = 9,
        seed: int = 0,
        truncation: float | None = None,
    ) -> DrawnSamples:
        """In each row the way from one latent to another, under one condition; with `seeds`, one row from
        the first sample of one seed to that of the other."""
        generator, wanted = self._generator(truncation), self._rows(condition)
        if seeds is not None:
            return DrawnSamples(paths.way(generator, wanted, seeds, steps), generator, None)
        sheet = paths.interpolation_sheet(generator, wanted, rows, steps, seed)
        return DrawnSamples(sheet, generator, seed)

    def walk(
        self,
        condition: Condition | None = None,
        *,
        n: int = 4,
        stations: int = 4,
        frames: int = 60,
        seed: int = 0,
        truncation: float | None = None,
    ) -> DrawnSamples:
        """`n` samples that each go round through `stations` latents, `n` in each of the `frames` rows;
        `save_film` writes them as a film."""
        generator = self._generator(truncation)
        sheet = paths.walk(generator, self._rows(condition), n, stations, frames, seed)
        return DrawnSamples(sheet, generator, seed)

    def mix_styles(
        self,
        condition: Condition | None = None,
        *,
        rows: int = 4,
        columns: int = 6,
        share: float = 0.5,
        seed: int = 0,
        truncation: float | None = None,
    ) -> DrawnSamples:
        """The first `share` of the layers by one latent per row, the others by one per column. Raises
        `UserError` if the architecture has no styles."""
        generator = self._generator(truncation)
        sheet = paths.mixing_sheet(generator, self._rows(condition), rows, columns, share, seed)
        return DrawnSamples(sheet, generator, seed)

    def truncation_sheet(
        self,
        condition: Condition | None = None,
        *,
        levels: Sequence[float] = LEVELS,
        columns: int = 8,
        seed: int = 0,
    ) -> DrawnSamples:
        """The same latents in every row, truncated at `levels`, and in the last row as they are."""
        wanted = self._rows(condition)
        parts, latents = [], []
        free = self._generator(None)
        if wanted is None:
            cond = condition_rows(free.spec.labels, [], columns, seed)
        else:
            cond = taken(wanted, torch.arange(columns) % length(wanted))
        for level in (*levels, None):
            sampler = self._generator(level).sampler
            latents.append(sampler.latents(columns, seed).z)
            parts.append(sampler.generate(latents[-1], cond))
        whole = taken(cond, torch.arange(columns).repeat(len(parts)))
        names = Names(noises(columns), [*(f"truncation {level:g}" for level in levels), "none"])
        sheet = Sheet(torch.cat(parts), torch.cat(latents), whole, columns, names)
        return DrawnSamples(sheet, free, seed)

    def project(
        self,
        image: str | Path | Tensor,
        condition: Condition | None = None,
        *,
        steps: int = 300,
        seed: int = 0,
        shown: Callable[[int, float], None] = lambda step, rmse: None,
    ) -> Projection:
        """The latent whose sample is nearest to an image file, or to a tensor [C, H, W] in [-1, 1]; see
        `Projection`. `shown` is called with each step and its error."""
        generator = self._generator(None)
        if isinstance(image, Tensor):
            if tuple(image.shape) != generator.spec.shape:
                raise UserError(
                    f"image: expected a tensor {list(generator.spec.shape)}, got {list(image.shape)}"
                )
            target = image.detach().to("cpu", torch.float32)
        else:
            target, _ = read_target(Path(image), generator.spec)
        return project(generator, target, self._rows(condition), steps, seed, shown)
