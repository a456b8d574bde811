"""`ganforge-fidelity`: its numbers against independent formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ganforge.api import DataSpec, Draw, Samples
from ganforge_fidelity import base
from ganforge_fidelity.frechet import FrechetDistance
from ganforge_fidelity.inception_score import InceptionScore
from ganforge_fidelity.kernel import KernelDistance
from ganforge_fidelity.precision_recall import PrecisionRecall
from support.tiny_fidelity import TINY_NAME, Noise, needs_torch_fidelity
from support.tiny_fidelity import hub as hub
from support.tiny_fidelity import samples as samples

pytestmark = needs_torch_fidelity


def features(images: Tensor, layer: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """In float64, for independently written formulas."""
    from support.tiny_extractor import TinyExtractor

    (found,) = TinyExtractor(TINY_NAME, [layer])(images)
    return found.detach().numpy().astype(np.float64)


def bytes_of(n: int, seed: int) -> Tensor:
    return ((Noise().sample(n, seed) * 127.5) + 127.5).round().to(torch.uint8)


def test_the_frechet_distance(samples: Samples) -> None:
    metric = FrechetDistance(extractor=TINY_NAME, samples=50, seed=2)
    a, b = features(bytes_of(50, 2), "flat"), features(samples.images, "flat")
    cov_a, cov_b = np.cov(a.T), np.cov(b.T)
    values, vectors = np.linalg.eigh(cov_a)
    root = vectors * np.sqrt(values) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ cov_b @ root)).sum()
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(cov_a) + np.trace(cov_b) - 2 * cross
    assert metric.compute(Noise(), samples) == {"fd_tiny_test": pytest.approx(expected, rel=1e-4)}


def test_the_kernel_distance(samples: Samples) -> None:
    metric = KernelDistance(extractor=TINY_NAME, samples=40, real=30, subsets=3, subset_size=20, seed=4)
    chosen = torch.randperm(60, generator=torch.Generator().manual_seed(4))[:30].sort().values
    a, b = features(bytes_of(40, 4), "flat"), features(samples.images[chosen], "flat")
    rng, found = np.random.RandomState(4), []
    for _ in range(3):
        x, y = a[rng.choice(40, 20, replace=False)], b[rng.choice(30, 20, replace=False)]
        within = sum(
            (u[i] @ u[j] / 6 + 1) ** 3 / (20 * 19)
            for u in (x, y)
            for i in range(20)
            for j in range(20)
            if i != j
        )
        across = sum((p @ q / 6 + 1) ** 3 / 400 for p in x for q in y)
        found.append(within - 2 * across)
    assert metric.compute(Noise(), samples) == {
        "kd_tiny_test": pytest.approx(np.mean(found), rel=1e-3),
        "kd_tiny_test_subset_deviation": pytest.approx(np.std(found), rel=1e-3),
    }


def test_the_classifier_score(samples: Samples) -> None:
    metric = InceptionScore(extractor=TINY_NAME, samples=40, splits=4, seed=6)
    logits = features(bytes_of(40, 6), "logits")[np.random.RandomState(6).permutation(40)]
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    scores = []
    for part in shares.reshape(4, 10, 5):
        entropy = -(part * np.log(part)).sum(1).mean()
        marginal = part.mean(0)
        scores.append(np.exp(-(marginal * np.log(marginal)).sum() - entropy))
    assert metric.compute(Noise(), samples) == {
        "classifier_score_tiny_test": pytest.approx(np.mean(scores), rel=1e-5),
        "classifier_score_tiny_test_split_deviation": pytest.approx(np.std(scores), rel=1e-4),
    }


def test_precision_and_recall(samples: Samples) -> None:
    # The generated images are the data, moved a little, and 20 that are far from them.
    class Close(Noise):
        def draw(self, n: int, seed: int, cond: Tensor | None = None) -> tuple[Tensor, Draw]:
            images, draw = super().draw(n, seed, cond)
            near = samples.images[:40].float() / 127.5 - 1
            near += 0.2 * torch.randn(near.shape, generator=torch.Generator().manual_seed(1))
            return torch.cat([near, images[40:]]).clamp(-1, 1), draw

    fake = ((Close().sample(60, 0) * 127.5) + 127.5).round().to(torch.uint8)
    a, b = features(fake, "flat"), features(samples.images, "flat")

    def covered(points: Any, by: Any) -> float:
        radius = [sorted(float(np.linalg.norm(p - q)) for q in by)[3] for p in by]
        inside = [any(np.linalg.norm(p - q) <= r for q, r in zip(by, radius, strict=True)) for p in points]
        return sum(inside) / len(inside)

    found = PrecisionRecall(extractor=TINY_NAME, samples=60, neighbours=3).compute(Close(), samples)
    assert found == {
        "precision_tiny_test": pytest.approx(covered(a, b), abs=1e-6),
        "recall_tiny_test": pytest.approx(covered(b, a), abs=1e-6),
    }
    assert found["precision_tiny_test"] != found["recall_tiny_test"]


def test_grey_images_and_many_chunks(samples: Samples, monkeypatch: pytest.MonkeyPatch) -> None:
    gray = Noise()
    gray.spec = DataSpec(shape=(1, 8, 8))
    monkeypatch.setattr(base, "CHUNK", 16)
    metric = FrechetDistance(extractor=TINY_NAME, samples=40, seed=1)
    extractor = metric.open(gray.spec)
    parts = [gray.sample(n, 3 + place) for place, n in enumerate((16, 16, 8))]
    expected = features(base.to_bytes(torch.cat(parts)).repeat(1, 3, 1, 1), "flat")
    assert np.allclose(metric.generated(extractor, gray).numpy(), expected, atol=1e-4)


def test_nothing_global_is_moved(samples: Samples) -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    before = np.random.get_state()[1].copy()
    KernelDistance(extractor=TINY_NAME, samples=40, subset_size=20, subsets=1).compute(Noise(), samples)
    assert torch.equal(torch.rand(3), expected)
    assert (np.random.get_state()[1] == before).all()


def test_real_images_are_looked_at_once(samples: Samples) -> None:
    from support.tiny_extractor import TinyExtractor

    metric = FrechetDistance(extractor=TINY_NAME, samples=50)
    TinyExtractor.saw = 0
    first = metric.compute(Noise(), samples)
    assert TinyExtractor.saw == 110
    again = [metric.model_copy(update={"seed": seed}).compute(Noise(), samples) for seed in (0, 1)]
    assert TinyExtractor.saw == 210
    assert (again[0] == first, again[1] == first) == (True, False)
    # Other images are not taken for these.
    other = metric.compute(Noise(), Samples(samples.images.clone() // 2))
    assert TinyExtractor.saw == 320
    assert other != first
    # Nor is another choice of them.
    some = metric.model_copy(update={"real": 30, "seed": 1})
    some.model_copy(update={"seed": 0}).compute(Noise(), samples)
    kept = some.compute(Noise(), samples)
    base._real.clear()
    assert some.compute(Noise(), samples) == kept
