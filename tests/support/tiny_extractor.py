"""What `ganforge-fidelity` is tested with: a small extractor, noise to look at, and no network."""

from __future__ import annotations

import urllib.error
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
import torch
import torch_fidelity as fidelity
from torch import Tensor, nn

from ganforge.api import DataSpec, Draw, Metric, Samples, UserError
from ganforge_fidelity import base, extractors

SPEC = DataSpec(shape=(3, 8, 8))
TINY_NAME = "tiny-test"


class TinyExtractor(fidelity.FeatureExtractorBase):  # type: ignore[misc, name-defined]
    """Six features and five logits: fixed projections of the pixels; counts the images it saw."""

    saw = 0

    def __init__(self, name: str, layers: list[str], **rest: object) -> None:
        super().__init__(name, layers)
        drawn = torch.Generator().manual_seed(3)
        self.body = nn.Linear(3 * 64, 11, bias=False)
        with torch.no_grad():
            self.body.weight.copy_(torch.randn(11, 3 * 64, generator=drawn) / 50)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        assert images.dtype == torch.uint8
        type(self).saw += len(images)
        found = self.body(images.float().flatten(1) / 25)
        parts = {"flat": found[:, :6], "logits": found[:, 6:]}
        return tuple(parts[layer] for layer in self.features_list)

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        return ("flat", "logits")

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        return "logits" if metric == "isc" else "flat"


fidelity.register_feature_extractor(TINY_NAME, TinyExtractor)


class Noise:
    """A generator of noise, brighter than the data."""

    spec = SPEC

    def sample(self, n: int, seed: int, cond: Tensor | None = None) -> Tensor:
        return self.draw(n, seed, cond)[0]

    def draw(self, n: int, seed: int, cond: Tensor | None = None) -> tuple[Tensor, Draw]:
        rng = torch.Generator().manual_seed(seed)
        images = (torch.randn(n, *self.spec.shape, generator=rng) * 0.5 + 0.1).clamp(-1, 1)
        return images, Draw(torch.zeros(n, 1), None, {})


@pytest.fixture(autouse=True)
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty hub folder and no network."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    unreachable = urllib.error.URLError("no route to host")
    monkeypatch.setattr("torch.hub.urlopen", mock.Mock(side_effect=unreachable))
    extractors._open.cache_clear()
    base._real.clear()
    yield tmp_path / "torch" / "hub"
    extractors._open.cache_clear()


@pytest.fixture
def data() -> Samples:
    rng = torch.Generator().manual_seed(5)
    return Samples(torch.randint(0, 200, (60, 3, 8, 8), generator=rng, dtype=torch.uint8))


def refusal(metric: Metric, data: Samples | None = None, spec: DataSpec = SPEC) -> str:
    sampler = Noise()
    sampler.spec = spec
    with pytest.raises(UserError) as refused:
        metric.compute(sampler, data or Samples(torch.zeros(60, 3, 8, 8, dtype=torch.uint8)))
    return str(refused.value)
