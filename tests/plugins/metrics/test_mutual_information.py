"""The metric `mutual_information`, with counts made by hand and a generator made by hand."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from ganforge.api import DataSpec, UserError
from ganforge_metrics.mutual_information import MutualInformation, information
from support.coded import NO_DATA, Coded, spec
from support.coded import by_hand as by_hand
from support.judges import blank_judge

pytestmark = pytest.mark.numeric

WHAT, SHARE = "judged_mutual_information", "judged_information_share"


def by_sum(table: Tensor) -> float:
    """The sum of p log(p / q r), and the correction by the numbers of cells."""
    rows = table.tolist()
    total = sum(map(sum, rows))
    of_row, of_column = [sum(row) for row in rows], [sum(column) for column in zip(*rows, strict=True)]
    plain = sum(
        n / total * math.log(n * total / (of_row[i] * of_column[j]))
        for i, row in enumerate(rows)
        for j, n in enumerate(row)
        if n
    )
    cells = sum(n > 0 for row in rows for n in row)
    return plain + (sum(n > 0 for n in of_row) + sum(n > 0 for n in of_column) - cells - 1) / (2 * total)


def test_the_information_of_a_table_is_the_sum_over_its_cells() -> None:
    rng = torch.Generator().manual_seed(0)
    table = torch.randint(0, 20, (4, 6), generator=rng)
    table[1], table[:, 2] = 0, 0
    table[0, 0] = 200
    assert information(table)[WHAT] == pytest.approx(by_sum(table), rel=1e-12)


def test_a_code_that_the_class_gives_away_and_one_that_says_nothing() -> None:
    known = information(torch.eye(10, dtype=torch.int64) * 1000)
    # Both marginals and the joint have ten cells: one correction of 9 / 2N stays.
    assert known[WHAT] == pytest.approx(math.log(10) + 9 / 20_000)
    assert known[SHARE] == pytest.approx(1)
    # Merged in pairs, half the cells of the classes: log 10 - log 2.
    merged = torch.eye(5, dtype=torch.int64).repeat_interleave(2, 0) * 1000
    assert information(merged)[WHAT] == pytest.approx(math.log(5), abs=1e-3)
    independent = information(torch.full((10, 10), 100))
    assert independent[WHAT] == pytest.approx(-81 / 20_000)
    assert information(torch.tensor([[7]])) == {WHAT: 0.0, SHARE: 0.0}
    assert all(map(math.isnan, information(torch.zeros(2, 2, dtype=torch.int64)).values()))


def test_the_correction_takes_the_bias_away() -> None:
    """Independent codes and classes, ten samples a cell: the plain estimate is 81 / 2000 nats too high."""
    rng = torch.Generator().manual_seed(0)
    found = []
    for _ in range(200):
        cells = torch.randint(100, (1000,), generator=rng)
        found.append(information(torch.bincount(cells, minlength=100).reshape(10, 10))[WHAT])
    assert abs(sum(found) / len(found)) < 0.005


@pytest.mark.usefixtures("by_hand")
def test_the_metric_of_a_generator(tmp_path: Path) -> None:
    two_to_one = Coded([0, 1, 2, 2])
    metric = MutualInformation(judge=tmp_path, samples=4000)
    found = metric.compute(two_to_one, NO_DATA)
    # H(class) of 1/4, 1/4, 1/2; the code has two bits.
    assert found[WHAT] == pytest.approx(1.5 * math.log(2), abs=0.02)
    assert found[SHARE] == pytest.approx(0.75, abs=0.01)
    torch.manual_seed(1)
    assert metric.compute(two_to_one, NO_DATA) == found
    assert two_to_one.asked == [1, 4000, 1, 4000]


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    def refusal(made_for: DataSpec, code: str = "c1") -> str:
        blank_judge(made_for).save(tmp_path)
        with pytest.raises(UserError) as error:
            MutualInformation(judge=tmp_path, code=code).compute(Coded([0, 1, 2]), NO_DATA)
        return str(error.value)

    assert refusal(spec("many_of_k")) == (
        "metric 'mutual_information' needs a one-of-K judge, got one with labels of kind 'many_of_k'"
    )
    assert refusal(spec(side=32)).startswith("the judge takes images of 3x32x32, got 3x16x16; ")
    assert refusal(spec(), "c2") == ("metric 'mutual_information': no categorical code 'c2' (available: c1)")
