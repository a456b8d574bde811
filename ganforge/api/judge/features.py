"""Feature spaces for distances between samples: a judge's features, or the samples themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ganforge.api.data import DataSpec, Samples
from ganforge.api.errors import UserError
from ganforge.api.judge.judge import Judge, load_judge

SIDE = 32
"""Pixels per side to which images are downsampled: distances then measure content rather than grain, and
cost the same at any resolution."""
CHUNK = 1024
SpaceName = Literal["judge", "pixel", "point"]


class FeatureSpace:
    """Samples in [-1, 1] -> rows [N, F], float32 on the CPU."""

    def __init__(self, spec: DataSpec, judge: Judge | None = None, side: int = SIDE) -> None:
        """The features of `judge`; or, if it is None, images downsampled to at most `side` pixels per side,
        and points unchanged. Raises `UserError` for a judge of other images."""
        if judge is not None:
            # Labels may differ: a feature space also serves unlabelled data.
            judge.refuse_misfit(spec, labels=False)
        self.judge = judge
        self.side = side
        self.name: SpaceName = "judge" if judge else "pixel" if spec.is_image else "point"
        """Prefix of the values' names, so that those of different spaces are not confused."""

    @classmethod
    def open(cls, judge: Path | None, spec: DataSpec, side: int = SIDE) -> FeatureSpace:
        """As the constructor, for the judge in a folder. Also raises `UserError` for a damaged one."""
        return cls(spec, None if judge is None else load_judge(judge), side)

    def __call__(self, samples: Tensor) -> Tensor:
        """The rows [N, F] of `samples` [N, *shape]."""
        if self.judge is not None:
            return self.judge.features(samples)
        if samples.ndim == 4 and max(samples.shape[2:]) > self.side:
            height, width = (min(self.side, side) for side in samples.shape[2:])
            samples = F.adaptive_avg_pool2d(samples, (height, width))
        return samples.flatten(1)

    def provenance(self) -> dict[str, Any]:
        """What values in this space depend on, in addition to the judge."""
        resizer = f"averaged down to at most {self.side} pixels a side" if self.name == "pixel" else None
        return {"space": self.name, "resizer": resizer}

    def of_real(self, samples: Samples, rows: Tensor) -> Tensor:
        """The rows [N, F] of the samples `rows` (int64 [N]) of `data`."""
        return torch.cat([self(real(samples, part)) for part in torch.split(rows, CHUNK)])


def real(samples: Samples, rows: Tensor) -> Tensor:
    """The samples `rows` (int64 [N]) of `data` in a generator's format: [N, *shape] on the CPU, images in
    [-1, 1] and points unchanged."""
    chosen = samples.images[rows.to(samples.images.device)].cpu()
    return chosen.float() / 127.5 - 1 if chosen.dtype == torch.uint8 else chosen


def choose_real(samples: Samples, n: int, seed: int, asker: str) -> Tensor:
    """Indices of `n` different samples of `data`, drawn with `seed`: int64 [n].

    Raises `UserError` if there are fewer; the message begins with `asker`, such as "metric 'fjd'".
    """
    if len(samples) < n:
        raise UserError(
            f"{asker} needs {n:,} real samples, but the data has {len(samples):,}; "
            f"set real = {len(samples)} or less"
        )
    return torch.randperm(len(samples), generator=torch.Generator().manual_seed(seed))[:n]
