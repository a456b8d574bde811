"""The parameters of a sweep, in Optuna's terms and in those of a run file."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ganforge.sweep.spec import Choice, Parameter

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Value = bool | int | float | str
"""What Optuna stores; a choice that is an array is stored as its JSON text."""


def distributions(parameters: Sequence[Parameter]) -> dict[str, BaseDistribution]:
    """Key -> the distribution Optuna samples from."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    space: dict[str, BaseDistribution] = {}
    for each in parameters:
        if each.kind == "choice":
            space[each.key] = CategoricalDistribution([category(choice) for choice in each.choices])
            continue
        assert each.low is not None and each.high is not None
        if each.kind == "int":
            step = int(each.step or 1)
            space[each.key] = IntDistribution(int(each.low), int(each.high), log=each.log, step=step)
        else:
            space[each.key] = FloatDistribution(each.low, each.high, log=each.log, step=each.step)
    return space


def category(choice: Choice) -> Value:
    """Optuna stores no arrays."""
    return json.dumps(choice) if isinstance(choice, tuple) else choice


def overrides(parameters: Sequence[Parameter], values: Mapping[str, Value]) -> list[str]:
    """The values as `--set` takes them: `key=value`, value as in TOML."""
    return [f"{each.key}={_toml(each, values[each.key])}" for each in parameters]


def ends(parameter: Parameter) -> list[str]:
    """An override for each choice, or for both ends of a range: if these are valid, so is everything in
    between."""
    values: list[Value] = [category(choice) for choice in parameter.choices]
    if parameter.kind != "choice":
        number = int if parameter.kind == "int" else float
        values = [number(end) for end in (parameter.low, parameter.high) if end is not None]
    return [f"{parameter.key}={_toml(parameter, value)}" for value in values]


def grid(parameters: Sequence[Parameter]) -> list[dict[str, Value]]:
    """Every combination; the last parameter changes fastest."""
    keys = [each.key for each in parameters]
    return [
        dict(zip(keys, point, strict=True))
        for point in itertools.product(*(_points(each) for each in parameters))
    ]


def grid_size(parameters: Sequence[Parameter]) -> int:
    """Number of combinations, without enumerating them."""
    return math.prod(len(each.choices) if each.kind == "choice" else _steps(each) + 1 for each in parameters)


def _points(parameter: Parameter) -> list[Value]:
    if parameter.kind == "choice":
        return [category(choice) for choice in parameter.choices]
    assert parameter.low is not None and parameter.step is not None
    if parameter.kind == "int":
        return [int(parameter.low + place * parameter.step) for place in range(_steps(parameter) + 1)]
    return [parameter.low + place * parameter.step for place in range(_steps(parameter) + 1)]


def _steps(parameter: Parameter) -> int:
    assert parameter.low is not None and parameter.high is not None and parameter.step is not None
    # A range from 0.1 to 0.3 with step 0.1 has three values, though 0.2 / 0.1 is slightly less than 2.
    return math.floor((parameter.high - parameter.low) / parameter.step + 1e-9)


def _toml(parameter: Parameter, value: Any) -> str:
    """A quoted string; an array is already stored as TOML text."""
    array = any(isinstance(choice, tuple) and category(choice) == value for choice in parameter.choices)
    return str(value) if array else json.dumps(value)
