"""Ramps: numbers that change over the images seen."""

from __future__ import annotations

import math
from typing import Any, Literal

import pytest
from pydantic import Field, ValidationError

from ganforge.api import Ramp, Scheduled, ScheduledInt
from ganforge.api.component import Component

pytestmark = pytest.mark.numeric


class Numbers(Component):
    kind = "tests"
    type: Literal["numbers"] = "numbers"
    weight: Scheduled = Field(1.0, ge=0, description="A weight.")
    share: Scheduled = Field(0.5, gt=0, lt=1, description="A share.")
    images: ScheduledInt = Field(10, ge=1, description="A number of images.")


def ramp(**keys: Any) -> Ramp:
    return Ramp.model_validate(keys)


@pytest.mark.parametrize("seen", [0, 1, 999, 1_000, 1_250, 1_750, 2_000, 10**9])
def test_the_value_is_that_of_the_formula(seen: int) -> None:
    share = min(1.0, max(0.0, (seen - 1_000) / 1_000))
    keys: dict[str, Any] = {"start": 0.5, "end": 0.125, "over": 1_000, "after": 1_000}
    linear = 0.5 * (1 - share) + 0.125 * share
    assert ramp(**keys).at(seen) == pytest.approx(linear, rel=1e-12)
    cosine = (1 - math.cos(math.pi * share)) / 2
    expected = 0.5 * (1 - cosine) + 0.125 * cosine
    assert ramp(**keys, shape="cosine").at(seen) == pytest.approx(expected, rel=1e-12)
    exponential = math.exp((1 - share) * math.log(0.5) + share * math.log(0.125))
    assert ramp(**keys, shape="exponential").at(seen) == pytest.approx(exponential, rel=1e-12)


def test_both_ends_are_met_exactly() -> None:
    for shape in ("linear", "cosine", "exponential"):
        found = ramp(start=0.3, end=0.7, over=7, shape=shape)
        assert found.at(0) == 0.3 and found.at(7) == found.at(10**12) == 0.7


def test_a_ramp_of_no_length_is_a_step() -> None:
    step = ramp(start=0.0, end=1.0, over=0, after=100)
    assert [step.at(seen) for seen in (0, 99, 100, 101)] == [0.0, 0.0, 1.0, 1.0]


def test_a_number_stays_a_number_and_a_table_is_a_ramp() -> None:
    plain = Numbers.model_validate({"weight": 2})
    assert plain.weight == 2.0 and isinstance(plain.weight, float)
    scheduled = Numbers.model_validate({"weight": {"start": 0, "end": 1, "over": 5}})
    assert scheduled.weight == ramp(start=0.0, end=1.0, over=5)
    assert Numbers.model_validate(scheduled.model_dump()) == scheduled
    assert Numbers.model_validate_json(scheduled.model_dump_json()) == scheduled


@pytest.mark.parametrize(
    ("document", "where", "message"),
    [
        ({"weight": -1}, ("weight",), "Input should be greater than or equal to 0"),
        ({"weight": "1"}, ("weight",), "Input should be a valid number"),
        ({"weight": {"start": 0.0, "end": -1.0, "over": 5}}, ("weight",), "Value error, expected a ramp whose end is at least 0, got -1"),
        ({"share": {"start": 0.0, "end": 0.5, "over": 5}}, ("share",), "Value error, expected a ramp whose start is greater than 0, got 0"),
        ({"share": {"start": 0.1, "end": 1.0, "over": 5}}, ("share",), "Value error, expected a ramp whose end is less than 1, got 1"),
        ({"images": {"start": 1.0, "end": 1.5, "over": 5}}, ("images",), "Value error, expected a ramp whose end is a whole number, got 1.5"),
        ({"weight": {"start": 0.0, "over": 5}}, ("weight", "end"), "Field required"),
        ({"weight": {"start": 0.0, "end": 1.0, "over": -5}}, ("weight", "over"), "Input should be greater than or equal to 0"),
        ({"weight": {"start": 0.0, "end": 1.0, "over": 5, "shape": "exponential"}}, ("weight",), "Value error, expected an exponential ramp between numbers above 0, got start = 0 and end = 1"),
    ],
)  # fmt: skip
def test_what_is_refused_and_where(document: dict[str, Any], where: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Numbers.model_validate(document)
    (error,) = caught.value.errors()
    assert error["loc"] == where and error["msg"] == message


def test_the_schema_knows_both_forms() -> None:
    schema = Numbers.model_json_schema()
    number, table = schema["properties"]["weight"]["anyOf"]
    assert number == {"minimum": 0, "type": "number"}
    assert sorted(table["required"]) == ["end", "over", "start"] and not table["additionalProperties"]
    assert schema["properties"]["weight"]["description"] == "A weight."
