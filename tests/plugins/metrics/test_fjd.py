"""The metric `fjd`: the Frechet distance in a judge's features."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from ganforge.api import DataSpec, Samples, UserError
from ganforge_metrics.fjd import FrechetJudgeDistance, frechet_distance
from support.deferred import deferred
from support.judges import blank_judge
from support.tensors import normal
from support.two_sets import SPEC, Given, uint8_images

mpmath = deferred("mpmath")
pytestmark = pytest.mark.numeric


def with_moments(mean: Tensor, root: Tensor, seed: int, n: int = 60) -> Tensor:
    """Rows whose mean and covariance are exactly `mean` [F] and root @ root.T."""
    rows = normal(n, len(mean), seed=seed)
    rows = rows - rows.mean(0)
    whitened = rows @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(rows.T))).T
    return whitened @ root.T + mean


def test_gaussians_with_diagonal_covariances() -> None:
    deviations = torch.tensor([[1.0, 2.0, 0.5], [3.0, 2.0, 0.1]], dtype=torch.float64)
    means = torch.tensor([[0.0, 1.0, -2.0], [1.0, 1.0, 2.0]], dtype=torch.float64)
    a = with_moments(means[0], deviations[0].diag(), seed=0)
    b = with_moments(means[1], deviations[1].diag(), seed=1)
    # |m - n|^2 + sum (s - t)^2, with the deviations of each coordinate.
    expected = (1 + 16) + (4 + 0 + 0.16)
    assert frechet_distance(a, b) == pytest.approx(expected, abs=1e-9)


def test_gaussians_whose_covariances_do_not_commute() -> None:
    """By the root of the product that is not symmetric, from its own eigenvalues."""
    roots = [normal(5, 5, seed=seed) for seed in (2, 3)]
    a, b = (with_moments(torch.zeros(5).double(), root, seed) for seed, root in enumerate(roots))
    cov_a, cov_b = (root @ root.T for root in roots)
    cross = torch.linalg.eigvals(cov_a @ cov_b).real.sqrt().sum()
    expected = float(cov_a.trace() + cov_b.trace() - 2 * cross)
    assert expected > 1
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)


def exact_distance(a: Tensor, b: Tensor) -> float:
    """The same distance with 60 decimal digits: the root of the product that is not symmetric, by its
    eigenvalues. A float64 is an exact rational number, so nothing is lost on the way in."""
    with mpmath.workdps(60):
        moments = []
        for rows in (a, b):
            x = mpmath.matrix(rows.tolist())
            mean = [mpmath.fsum(x[:, j]) / x.rows for j in range(x.cols)]
            centered = mpmath.matrix(x.rows, x.cols)
            for i in range(x.rows):
                for j in range(x.cols):
                    centered[i, j] = x[i, j] - mean[j]
            moments.append((mean, centered.T * centered / (x.rows - 1)))
        (mean_a, cov_a), (mean_b, cov_b) = moments
        values = mpmath.eig(cov_a * cov_b, left=False, right=False)
        cross = mpmath.fsum(mpmath.sqrt(max(mpmath.re(value), 0)) for value in values)
        traces = mpmath.fsum(cov_a[j, j] + cov_b[j, j] for j in range(cov_a.rows))
        gap = mpmath.fsum((p - q) ** 2 for p, q in zip(mean_a, mean_b, strict=True))
        return float(gap + traces - 2 * cross)


def degenerate(kind: str) -> tuple[Tensor, Tensor]:
    """Two sets of rows [N, 8] whose covariances have no full rank."""
    a, b = normal(50, 8, seed=0), normal(70, 8, seed=1) * 2 + 1
    match kind:
        case "a feature constant in both":  # as a judge's dead features are
            a[:, 3] = b[:, 3] = 0.5
        case "a feature constant in one":
            a[:, 3] = 0.1
        case "all features constant in one":
            a[:] = a[0]
        case "a feature twice":
            a[:, 5], b[:, 5] = a[:, 2], -b[:, 1]
        case "fewer rows than features":
            a, b = a[:5], b[:4]
        case "nearly of rank one":
            a, b = (rows[:, :1] + 1e-9 * rows for rows in (a, b))
        case "scales fourteen decades apart":
            a, b = (rows * 10.0 ** -torch.arange(0, 16, 2) for rows in (a, b))
        case _:
            raise AssertionError(kind)
    return a, b


KINDS = (
    "a feature constant in both",
    "a feature constant in one",
    "all features constant in one",
    "a feature twice",
    "fewer rows than features",
    "nearly of rank one",
    "scales fourteen decades apart",
)


@pytest.mark.parametrize("kind", KINDS)
def test_covariances_without_full_rank(kind: str) -> None:
    a, b = degenerate(kind)
    expected = exact_distance(a, b)
    assert expected > 1
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-12)
    assert frechet_distance(b, a) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_zero_for_equal_sets_and_measures_a_shift(kind: str) -> None:
    for rows in degenerate(kind):
        order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(2))
        size = float(rows.var(0).sum())
        assert 0 <= frechet_distance(rows, rows[order]) <= 1e-13 * max(size, 1)
        assert frechet_distance(rows, rows + 2) == pytest.approx(4 * 8, rel=1e-12)


def test_a_set_of_one_row_has_no_distance() -> None:
    rows = normal(20, 3, seed=0)
    assert math.isnan(frechet_distance(rows, rows[:1]))


def test_rows_that_are_not_finite_have_no_distance() -> None:
    rows = normal(20, 3, seed=0)
    assert math.isnan(frechet_distance(rows, torch.full_like(rows, math.nan)))


def test_the_metric_compares_the_judges_features(tmp_path: Path) -> None:
    judge = blank_judge()
    judge.save(tmp_path / "judge")
    data, fakes = Samples(uint8_images(40)), Given(uint8_images(30, seed=1, most=90))
    metric = FrechetJudgeDistance(judge=tmp_path / "judge", real=40, samples=30)
    real = judge.features(data.images.float() / 127.5 - 1).double().numpy()
    fake = judge.features(fakes.images).double().numpy()
    gap = real.mean(0) - fake.mean(0)
    cov_real, cov_fake = (torch.from_numpy(rows).T.cov() for rows in (real, fake))
    # The nuclear norm of a product of roots, another way to the same trace.
    halves = [torch.linalg.svd(cov) for cov in (cov_real, cov_fake)]
    roots = [u @ s.sqrt().diag() @ u.T for u, s, _ in halves]
    cross = torch.linalg.svdvals(roots[0] @ roots[1]).sum()
    expected = (gap**2).sum() + float(cov_real.trace() + cov_fake.trace() - 2 * cross)
    found = metric.compute(fakes, data)
    assert found == {"frechet_judge_distance": pytest.approx(expected, rel=1e-5)}
    assert metric.compute(fakes, data) == found
    assert fakes.asked == [(30, 0), (30, 0)]
    assert metric.provenance(SPEC) == {"space": "judge", "resizer": None}


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    blank_judge().save(tmp_path)
    fakes, data = Given(uint8_images(30)), Samples(uint8_images(20))

    def refusal(spec: DataSpec = SPEC, **fields: int) -> str:
        with pytest.raises(UserError) as error:
            FrechetJudgeDistance(judge=tmp_path, **fields).compute(Given(fakes.images, spec), data)
        return str(error.value)

    few = "metric 'fjd': 16 samples cannot span the judge's 16 features; set {} = 17 or more"
    assert refusal(real=16, samples=30) == few.format("real")
    assert refusal(real=20, samples=16) == few.format("samples")
    assert refusal(real=21, samples=30) == (
        "metric 'fjd' needs 21 real samples, but the data has 20; set real = 20 or less"
    )
    assert refusal(DataSpec(shape=(3, 32, 32))).startswith("the judge takes images of 3x16x16, got 3x32x32; ")
    assert fakes.asked == []
