"""The metric `prdc`: precision, recall, density and coverage."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

import ganforge_metrics.prdc as module
from ganforge.api import DataSpec, Samples, UserError
from ganforge_metrics.prdc import PRDC, prdc
from support.judges import blank_judge
from support.tensors import normal
from support.two_sets import SPEC, Given, uint8_images

pytestmark = pytest.mark.numeric

KEYS = ("precision", "recall", "density", "coverage")


def by_loops(real: list[list[float]], fake: list[list[float]], k: int) -> dict[str, float]:
    """The definitions, word by word."""
    real_balls = [
        sorted(math.dist(x, y) for j, y in enumerate(real) if j != i)[k - 1] for i, x in enumerate(real)
    ]
    fake_balls = [
        sorted(math.dist(x, y) for j, y in enumerate(fake) if j != i)[k - 1] for i, x in enumerate(fake)
    ]
    inside = [[math.dist(y, x) <= ball for x, ball in zip(real, real_balls, strict=True)] for y in fake]
    inside_fake = [
        any(math.dist(x, y) <= ball for y, ball in zip(fake, fake_balls, strict=True)) for x in real
    ]
    return {
        "precision": sum(map(any, inside)) / len(fake),
        "recall": sum(inside_fake) / len(real),
        "density": sum(map(sum, inside)) / (k * len(fake)),
        "coverage": sum(any(column) for column in zip(*inside, strict=True)) / len(real),
    }  # fmt: skip


@pytest.mark.parametrize("k", [1, 3])
def test_the_figures_are_those_of_the_definitions(k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # Chunks that leave a rest, so that each sample has to be excluded from its own neighbours at the right place.
    monkeypatch.setattr(module, "CHUNK", 7)
    real, fake = normal(40, 3, seed=0), normal(25, 3, seed=1) * 1.3 + 0.4
    expected = by_loops(real.tolist(), fake.tolist(), k)
    assert len({round(value, 6) for value in expected.values()}) > 2
    assert prdc(real, fake, k) == pytest.approx(expected)


def test_equal_distributions_give_what_theory_says() -> None:
    found = prdc(normal(1500, 4, seed=0), normal(1500, 4, seed=1), 5)
    assert found["coverage"] == pytest.approx(1 - 2**-5, abs=0.02)
    assert found["density"] == pytest.approx(1, abs=0.05)
    assert found["precision"] == pytest.approx(found["recall"], abs=0.03)


def test_what_each_figure_tells() -> None:
    real = normal(200, 2, seed=0)
    collapsed = prdc(real, real[:1].expand(200, -1) + 1e-3 * normal(200, 2, seed=1), 5)
    assert collapsed["precision"] == 1.0
    assert collapsed["recall"] < 0.05 and collapsed["coverage"] < 0.15
    assert prdc(real, real + 100, 5) == dict.fromkeys(KEYS, 0.0)
    scattered = prdc(real, 10 * normal(200, 2, seed=1), 5)
    assert scattered["recall"] > 0.9 and scattered["precision"] < 0.3
    assert all(map(math.isnan, prdc(real, real * math.nan, 5).values()))


def test_in_a_judges_features_in_pixels_and_of_points(tmp_path: Path) -> None:
    judge = blank_judge()
    judge.save(tmp_path)
    data, fakes = Samples(uint8_images(30)), Given(uint8_images(20, seed=1))
    real = data.images.float() / 127.5 - 1
    counts = {"real": 30, "samples": 20, "k": 2}
    in_judge = PRDC(judge=tmp_path, **counts)
    rows = [judge.features(images).tolist() for images in (real, fakes.images)]
    expected = {f"judge_{name}": value for name, value in by_loops(*rows, k=2).items()}
    assert in_judge.compute(fakes, data) == pytest.approx(expected)
    in_pixels = PRDC(side=8, **counts)
    rows = [torch.nn.functional.avg_pool2d(images, 2).flatten(1).tolist() for images in (real, fakes.images)]
    expected = {f"pixel_{name}": value for name, value in by_loops(*rows, k=2).items()}
    assert in_pixels.compute(fakes, data) == pytest.approx(expected)
    assert in_pixels.provenance(SPEC) == {
        "space": "pixel",
        "resizer": "averaged down to at most 8 pixels a side",
    }
    assert in_judge.provenance(SPEC) == {"space": "judge", "resizer": None}
    spec, points = DataSpec(shape=(2,)), normal(50, 2, seed=0).float()
    found = PRDC(**counts).compute(Given(points[30:], spec), Samples(points[:30]))
    expected = {
        f"point_{name}": v for name, v in by_loops(points[:30].tolist(), points[30:].tolist(), 2).items()
    }
    assert found == pytest.approx(expected)


def test_real_samples_are_drawn_by_the_seed_and_nothing_global() -> None:
    data, fakes = Samples(uint8_images(300)), Given(uint8_images(100, seed=1))
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, again, other = (PRDC(real=60, samples=100, seed=seed).compute(fakes, data) for seed in (3, 3, 4))
    assert first == again != other
    assert torch.equal(torch.get_rng_state(), before)
    assert [seed for _, seed in fakes.asked] == [3, 3, 4]


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    fakes, data = Given(uint8_images(30)), Samples(uint8_images(20))
    for fields, expected in (
        ({"real": 5}, "metric 'prdc': k = 5 needs more than 5 samples; set real = 6 or more"),
        (
            {"real": 20, "samples": 5},
            "metric 'prdc': k = 5 needs more than 5 samples; set samples = 6 or more",
        ),
        ({}, "metric 'prdc' needs 10,000 real samples, but the data has 20; set real = 20 or less"),
    ):
        with pytest.raises(UserError) as error:
            PRDC(**fields).compute(fakes, data)
        assert str(error.value) == expected
    assert fakes.asked == []
