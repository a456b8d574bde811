"""What `ganforge-fidelity` is tested with: noise as images, a small extractor, and no network connection."""

from __future__ import annotations

import importlib
import importlib.util
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
import torch
from torch import Tensor

from ganforge.api import DataSpec, Draw, Metric, Samples, UserError
from ganforge_fidelity import base, extractors

SPEC = DataSpec(shape=(3, 8, 8))
TINY_NAME = "tiny-test"

needs_torch_fidelity = pytest.mark.skipif(
    importlib.util.find_spec("torch_fidelity") is None, reason="torch-fidelity is not installed"
)


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
    """The small extractor, an empty hub folder and no network."""
    importlib.import_module("support.tiny_extractor")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    unreachable = urllib.error.URLError("no route to host")
    monkeypatch.setattr("torch.hub.urlopen", mock.Mock(side_effect=unreachable))
    extractors._open.cache_clear()
    base._real.clear()
    yield tmp_path / "torch" / "hub"
    extractors._open.cache_clear()


@pytest.fixture
def samples() -> Samples:
    rng = torch.Generator().manual_seed(5)
    return Samples(torch.randint(0, 200, (60, 3, 8, 8), generator=rng, dtype=torch.uint8))


def refusal(metric: Metric, samples: Samples | None = None, spec: DataSpec = SPEC) -> str:
    sampler = Noise()
    sampler.spec = spec
    with pytest.raises(UserError) as refused:
        metric.compute(sampler, samples or Samples(torch.zeros(60, 3, 8, 8, dtype=torch.uint8)))
    return str(refused.value)
