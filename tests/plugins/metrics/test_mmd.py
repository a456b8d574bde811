"""The metric `mmd`: the maximum mean discrepancy by two kernels."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ganforge.api import Samples, UserError
from ganforge_metrics.mmd import MMD, gaussian_mixture, mmd_squared, polynomial
from support.judges import blank_judge
from support.tensors import normal
from support.two_sets import SPEC, Given, uint8_images

pytestmark = pytest.mark.numeric

Rows = list[list[float]]


def by_loops(a: Rows, b: Rows, kernel: Callable[[list[float], list[float]], float]) -> float:
    """The unbiased estimate, pair by pair."""
    within = [
        sum(kernel(x, y) for i, x in enumerate(rows) for j, y in enumerate(rows) if i != j)
        / (len(rows) * (len(rows) - 1))
        for rows in (a, b)
    ]
    return sum(within) - 2 * sum(kernel(x, y) for x in a for y in b) / (len(a) * len(b))


def cubic(x: list[float], y: list[float]) -> float:
    return (sum(p * q for p, q in zip(x, y, strict=True)) / len(x) + 1) ** 3


def mixture(real: Rows) -> Callable[[list[float], list[float]], float]:
    squares = sorted(math.dist(x, y) ** 2 for i, x in enumerate(real) for y in real[:i])
    middle = squares[(len(squares) - 1) // 2]

    def kernel(x: list[float], y: list[float]) -> float:
        square = math.dist(x, y) ** 2
        return sum(math.exp(-square / (2 * width * middle)) for width in (0.25, 0.5, 1, 2, 4)) / 5

    return kernel


def test_both_kernels_give_what_loops_give() -> None:
    a, b = normal(17, 3, seed=0), normal(12, 3, seed=1) + 0.7
    assert mmd_squared(a, b, polynomial) == pytest.approx(by_loops(a.tolist(), b.tolist(), cubic), rel=1e-9)
    expected = by_loops(a.tolist(), b.tolist(), mixture(a.tolist()))
    assert expected > 0.01
    assert mmd_squared(a, b, gaussian_mixture(a)) == pytest.approx(expected, rel=1e-9)


def test_there_is_no_bias() -> None:
    """The mean over many small sets of one distribution is 0; with the diagonal it would be 2 / n."""
    kernel = gaussian_mixture(normal(200, 2, seed=9))
    found = [
        mmd_squared(normal(10, 2, seed=2 * i), normal(10, 2, seed=2 * i + 1), kernel) for i in range(400)
    ]
    assert statistics.fmean(found) == pytest.approx(0, abs=4 * statistics.stdev(found) / 20)
    assert min(found) < 0
    assert 4 * statistics.stdev(found) / 20 < 0.02


def test_a_shift_is_what_the_polynomial_makes_of_it() -> None:
    """Of one point each, with a second equal one so that there are pairs."""
    a, b = torch.zeros(2, 1).double(), torch.full((2, 1), 2.0).double()
    assert mmd_squared(a, b, polynomial) == pytest.approx(1 + 5**3 - 2)


def test_rows_that_are_not_finite_or_all_alike() -> None:
    rows = normal(10, 2, seed=0)
    assert math.isnan(mmd_squared(rows, rows * math.nan, polynomial))
    same = torch.ones(10, 2).double()
    assert mmd_squared(same, same, gaussian_mixture(same)) == pytest.approx(0)


@pytest.mark.parametrize("kernel", ["polynomial", "gaussian"])
def test_the_metric_is_the_mean_over_subsets(kernel: str, tmp_path: Path) -> None:
    judge = blank_judge()
    judge.save(tmp_path)
    data, fakes = Samples(uint8_images(12)), Given(uint8_images(12, seed=1, most=120))
    fields = {"kernel": kernel, "real": 12, "samples": 12, "subsets": 3}
    # A subset of all samples is the same each time, whatever the order.
    whole = MMD(judge=tmp_path, subset=12, **fields).compute(fakes, data)
    real = judge.features(data.images.float() / 127.5 - 1).double()
    rows = real.tolist(), judge.features(fakes.images).double().tolist()
    expected = by_loops(*rows, cubic if kernel == "polynomial" else mixture(rows[0]))
    assert whole == {
        "judge_mmd_squared": pytest.approx(expected, rel=1e-5),
        "judge_mmd_squared_subset_std": pytest.approx(0, abs=1e-9),
    }
    torch.manual_seed(5)
    before = torch.get_rng_state()
    pixels = [MMD(subset=6, seed=seed, **fields).compute(fakes, data) for seed in (0, 0, 1)]
    assert pixels[0] == pixels[1] != pixels[2]
    assert pixels[0]["pixel_mmd_squared_subset_std"] > 0
    assert torch.equal(torch.get_rng_state(), before)
    assert MMD().provenance(SPEC) == {
        "space": "pixel",
        "resizer": "averaged down to at most 32 pixels a side",
    }


def test_too_few_samples_are_refused() -> None:
    fakes, data = Given(uint8_images(30)), Samples(uint8_images(20))
    for fields, expected in (
        ({"real": 20, "samples": 30}, "metric 'mmd': a subset of 1,000 cannot be drawn from 20 samples; set subset = 20 or less"),
        ({}, "metric 'mmd' needs 10,000 real samples, but the data has 20; set real = 20 or less"),
    ):  # fmt: skip
        with pytest.raises(UserError) as error:
            MMD(**fields).compute(fakes, data)
        assert str(error.value) == expected
    assert fakes.asked == []
