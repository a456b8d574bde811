"""Base of the metrics of this plugin: an extractor, and the features of both sets."""

from __future__ import annotations

import weakref
from abc import abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor

from ganforge.api import AbsolutePath, DataSpec, Field, Images, Metric, Sampler, Samples, UserError
from ganforge_fidelity.extractors import INCEPTION, Extractor, layer_for, open_extractor

CHUNK = 2048
"""Images that are held as floats at a time."""
KEPT = 2

_real: dict[tuple[Extractor, int, int], tuple[weakref.ref[Images], Tensor]] = {}
"""Features of real images, shared by several metrics and all seeds: they cost as much as those of the
generated ones, and never change. The latest `KEPT` of them."""


class FidelityMetric(Metric):
    """A metric on features of generated and real images."""

    measure: ClassVar[str]
    """torch-fidelity's name for it: isc, fid, kid or prc."""

    extractor: str = Field(
        INCEPTION,
        description="torch-fidelity's name of the feature extractor: inception-v3-compat, vgg16, "
        "dinov2-vit-b-14, ...",
    )
    weights: AbsolutePath | None = Field(
        None,
        description="The extractor's weights, a PyTorch checkpoint of tensors; absent = the published ones, "
        "downloaded once into torch's hub folder.",
    )
    samples: int = Field(10_000, ge=2, description="Number of generated images.")

    def open(self, spec: DataSpec) -> Extractor:
        """Raises `UserError` for data other than images of 1 or 3 channels, and for an extractor or weights
        that are unavailable."""
        if not spec.is_image or spec.shape[0] not in (1, 3):
            shape = "x".join(map(str, spec.shape))
            raise UserError(
                f"metric '{self.type}' needs images of 1 or 3 channels, got data of shape {shape}"
            )
        return open_extractor(self.extractor, layer_for(self.extractor, self.measure), self.weights)

    def provenance(self, spec: DataSpec) -> dict[str, Any]:
        return self.open(spec).provenance()

    def generated(self, extractor: Extractor, sampler: Sampler) -> Tensor:
        """Features [samples, F] of the generator's images, quantized to 8 bits as in image files."""
        starts = range(0, self.samples, CHUNK)
        parts = []
        for part, start in enumerate(starts):
            # A seed per chunk, and no chunk shared with another seed of the metric.
            seed = self.seed * len(starts) + part
            images = sampler.sample(min(CHUNK, self.samples - start), seed)
            parts.append(extractor.features(to_bytes(images)))
        return torch.cat(parts)

    def named(self, short: str, long: str) -> str:
        """`short` is the established name of the value with Inception features. With another extractor a
        value has another name."""
        return short if self.extractor == INCEPTION else f"{long}_{self.extractor.replace('-', '_')}"

    @abstractmethod
    def compute(self, sampler: Sampler, samples: Samples) -> dict[str, float]:
        """As `Metric.compute`."""


class PairedMetric(FidelityMetric):
    """A metric that compares the generated images with real ones."""

    real: int = Field(0, ge=0, description="Number of real images, drawn from the training data; 0 = all.")

    def require(self, least: int, need: str, remedy: str, samples: Samples) -> None:
        """Raises `UserError` where either set has fewer than `least` images; `need` and `remedy` are the
        message's, with the number that there is as `{count}` or, less one, as `{fewer}`."""
        for name, count in (("samples", self.samples), ("real", self.real or len(samples))):
            if count < least:
                hint = remedy.format(count=count, fewer=count - 1)
                raise UserError(f"metric '{self.type}' {need}, but {name} is {count:,}; {hint}")

    def pair(self, sampler: Sampler, samples: Samples) -> tuple[Tensor, Tensor]:
        """Features [samples, F] of generated images and [real, F] of real ones. Raises `UserError` if there
        are fewer real images than requested."""
        extractor = self.open(sampler.spec)
        count = self.real or len(samples)
        if count > len(samples):
            raise UserError(
                f"metric '{self.type}' needs {count:,} real images, but the data has {len(samples):,}; "
                f"set real = {len(samples)} or less"
            )
        real = real_features(extractor, samples, count, self.seed if count < len(samples) else 0)
        return self.generated(extractor, sampler), real


def real_features(extractor: Extractor, samples: Samples, count: int, seed: int) -> Tensor:
    """Features [count, F] of real images selected by `seed`."""
    images, key = samples.images, (extractor, count, seed)
    of, known = _real.get(key, (lambda: None, torch.empty(0)))
    if of() is images:
        return known
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(images), generator=generator)[:count].sort().values
    parts = [images[rows.to(images.device)] for rows in torch.split(chosen, CHUNK)]
    found = torch.cat([extractor.features(part) for part in parts])
    _real.pop(key, None)
    _real[key] = weakref.ref(images), found
    for oldest in list(_real)[:-KEPT]:
        del _real[oldest]
    return found


def to_bytes(images: Tensor) -> Tensor:
    """[-1, 1] -> uint8, to the nearest."""
    return ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
