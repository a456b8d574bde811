"""How far what is made for a condition is from the sample that it belongs to.

PSNR as in Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network (Ledig et
al., 2016), arXiv:1609.04802, section 3.1, but over all channels of images in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch

from ganforge.api import Field, Images, Metric, Sampler, Samples, UserError, mapped


class PairError(Metric):
    """`pair_l1`, the mean absolute difference in units of the samples, and `pair_psnr`, in decibels: the peak
    of 2 between black and white over the root mean square difference, the mean over samples.

    For data with conditions that determine the sample: image to image, super-resolution.
    """

    type: Literal["pair_error"] = "pair_error"
    example: ClassVar[Mapping[str, Any]] = {
        "task": {"type": "translate"},
        "data": {"type": "squares", "labels": "image"},
        "nets": {"type": "unet", "width": 4, "d_width": 4, "d_layers": 1},
        "metrics": [{"type": "pair_error", "samples": 8}],
    }
    source: ClassVar[str] = (
        "Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network (Ledig et al., "
        "2016), arXiv:1609.04802, section 3.1"
    )

    samples: int = Field(256, ge=1, description="Pairs of a condition and its sample.")

    def compute(self, sampler: Sampler, samples: Samples) -> dict[str, float]:
        """Raises `UserError` where there are no pairs, or fewer than `samples`."""
        if samples.labels is None or not samples.paired or samples.unpaired:
            got = "no conditions" if samples.labels is None else "conditions that belong to no sample"
            raise UserError(
                f"metric '{self.type}': expected data whose conditions belong to its samples, got {got}; "
                "name other [data] or remove the metric"
            )
        if len(samples) < self.samples:
            raise UserError(
                f"metric '{self.type}' needs {self.samples} samples, but the data has {len(samples)}; "
                f"set samples = {len(samples)} or less"
            )
        generator = torch.Generator().manual_seed(self.seed)
        rows = torch.randperm(len(samples), generator=generator)[: self.samples]
        real = _values(samples.images, rows)
        cond = mapped(lambda part: _values(part, rows), samples.labels)
        error = (sampler.sample(self.samples, self.seed, cond) - real).flatten(1)
        # A perfect pair would have an infinite ratio: no smaller than half a level of a byte.
        rms = error.square().mean(1).sqrt().clamp(min=1 / 255)
        decibels = 20 * (2 / rms).log10()
        return {"pair_l1": error.abs().mean().item(), "pair_psnr": decibels.mean().item()}


def _values(stored: Images, rows: torch.Tensor) -> torch.Tensor:
    """Rows of what lies at rest as networks see it: images in [-1, 1], other numbers as they are."""
    chosen = stored[rows.to(stored.device)].cpu()
    image = chosen.dtype == torch.uint8 and chosen.ndim == 4
    return chosen.float() / 127.5 - 1 if image else chosen.float()
