"""Sliced Wasserstein distance between generated and real samples: the mean over 1-D projections.

Sliced and Radon Wasserstein Barycenters of Measures (Bonneel et al., 2015), Journal of
Mathematical Imaging and Vision 51, doi:10.1007/s10851-014-0506-3; Wasserstein
Barycenter and its Application to Texture Mixing (Rabin et al., 2011).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ganforge.api import Field, Metric, Sampler, Samples, UserError

MAX_PIXELS = 32
"""Images are downsampled to this many pixels per side: the distance is that of their coarse content, and
stays cheap at any resolution."""


class SlicedWasserstein(Metric):
    """The sliced 2-Wasserstein distance, in units of the samples (images in [-1, 1]); 0 is best.

    Both sets are projected onto random directions; in each the distance is that between sorted
    projections, and the result is the root mean square over directions. Two draws of real samples do not
    give 0, so compare at equal `samples` only.
    """

    type: Literal["sliced_wasserstein"] = "sliced_wasserstein"
    example: ClassVar[Mapping[str, Any]] = {"metrics": [{"type": "sliced_wasserstein", "samples": 12}]}
    source: ClassVar[str] = (
        "Sliced and Radon Wasserstein Barycenters of Measures (Bonneel et al., 2015), "
        "doi:10.1007/s10851-014-0506-3"
    )

    samples: int = Field(1000, ge=1, description="Number of real and of generated samples.")
    projections: int = Field(128, ge=1, description="Number of random directions.")

    def compute(self, sampler: Sampler, samples: Samples) -> dict[str, float]:
        """Raises `UserError` if the data has fewer samples than requested."""
        if len(samples) < self.samples:
            raise UserError(
                f"metric '{self.type}' needs {self.samples} samples, but the data has {len(samples)}; "
                f"set samples = {len(samples)} or less"
            )
        generator = torch.Generator().manual_seed(self.seed)
        chosen = torch.randperm(len(samples), generator=generator)[: self.samples]
        real = _at_rest_flat(samples.images[chosen.to(samples.images.device)].cpu())
        fake = _flat(sampler.sample(self.samples, self.seed))
        directions = torch.randn(real.shape[1], self.projections, generator=generator)
        return {"sliced_wasserstein": sliced_distance(real, fake, directions)}


def sliced_distance(a: Tensor, b: Tensor, directions: Tensor) -> float:
    """The sliced 2-Wasserstein distance of point sets `a` and `b` [N, D], each of N points, over
    the columns of `directions` [D, P], of any length."""
    unit = F.normalize(directions, dim=0)
    gap = (a @ unit).sort(dim=0).values - (b @ unit).sort(dim=0).values
    return float(gap.square().mean().sqrt())


def _at_rest_flat(x: Tensor) -> Tensor:
    """Stored samples as rows, in the generator's units: uint8 images in [-1, 1], points unchanged."""
    # Downsample first: scaling commutes with it and then touches few pixels.
    return _flat(x.float()) / 127.5 - 1 if x.dtype == torch.uint8 else _flat(x)


def _flat(x: Tensor) -> Tensor:
    """Images [N, C, H, W], downsampled to at most 32 x 32, or points [N, D], as rows."""
    if x.ndim == 4 and max(x.shape[2:]) > MAX_PIXELS:
        x = F.adaptive_avg_pool2d(x, (min(x.shape[2], MAX_PIXELS), min(x.shape[3], MAX_PIXELS)))
    return x.flatten(1)
