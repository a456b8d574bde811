"""A sweep file -> a validated `Sweep`, checked against the run file it varies."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from ganforge.api import UserError
from ganforge.components.registry import Registry
from ganforge.config import RunConfig, load
from ganforge.config.explain import findings, report
from ganforge.config.origin import Origin
from ganforge.config.schema import Mistake
from ganforge.sweep.space import ends, grid_size
from ganforge.sweep.spec import Parameter, Sweep, narrow
from ganforge.training.build import plan

MAX_GRID = 10_000
"""Combinations of a grid; all of them are stored at the start."""


@dataclass(frozen=True)
class Loaded:
    """A sweep file and the files it refers to."""

    sweep: Sweep
    run_file: Path
    base: RunConfig
    """The run that is varied."""


def load_sweep(file: Path, registry: Registry) -> Loaded:
    """Reads and validates a sweep file, and every parameter's values against its run file.

    Raises `UserError` with one line per mistake, `file:line: key: ...`.
    """
    try:
        text = file.read_text(encoding="utf-8")
        document = tomllib.loads(text)
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{file}: not UTF-8 text (byte {error.start})") from None
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{file}: TOML syntax error: {error}") from None
    schema = narrow(document)
    try:
        # Via JSON, as for run files: in strict mode only JSON input lets an array become a tuple.
        sweep = schema.model_validate_json(json.dumps(document, default=str))
    except ValidationError as error:
        raise UserError(report(findings(error, schema), Origin(str(file), text))) from None
    mistakes = list(_mistakes(sweep))
    if mistakes:
        raise UserError(report(mistakes, Origin(str(file), text)))
    run_file = file.parent / sweep.run
    base = load(run_file, registry, sweep.set)
    mistakes = list(_misfits(sweep, run_file, base, registry))
    if mistakes:
        raise UserError(report(mistakes, Origin(str(file), text)))
    plan(base)
    return Loaded(sweep, run_file, base)


def _mistakes(sweep: Sweep) -> Iterator[Mistake]:
    """Mistakes in the sweep itself."""
    seen: set[str] = set()
    for place, parameter in enumerate(sweep.parameters):
        if parameter.key in seen:
            yield Mistake(("parameters", place, "key"), f"'{parameter.key}' is listed twice")
        seen.add(parameter.key)
        for key, message in _of_choice(parameter) if parameter.kind == "choice" else _of_range(parameter):
            yield Mistake(("parameters", place, key), message)
        if sweep.sampler.type == "grid" and parameter.kind != "choice" and parameter.step is None:
            yield Mistake(("parameters", place, "kind"), 'a grid needs a step here, or kind = "choice"')


def _of_choice(parameter: Parameter) -> Iterator[tuple[str, str]]:
    if not parameter.choices:
        yield "choices", "is missing, or empty"
    for key in ("low", "high", "step"):
        if getattr(parameter, key) is not None:
            yield key, "is for ranges, not for a choice"
    texts = [json.dumps(choice) for choice in parameter.choices]
    if len(set(texts)) < len(texts):
        yield "choices", f"has duplicate values: {', '.join(texts)}"


def _of_range(parameter: Parameter) -> Iterator[tuple[str, str]]:
    low, high = parameter.low, parameter.high
    if parameter.choices:
        yield "choices", f'are for kind = "choice", not "{parameter.kind}"'
    for key in ("low", "high"):
        if getattr(parameter, key) is None:
            yield key, "is missing"
    if parameter.kind == "int":
        for key in ("low", "high", "step"):
            value = getattr(parameter, key)
            if value is not None and not value.is_integer():
                yield key, f"expected a whole number, got {value:g}"
    if low is not None and high is not None and low >= high:
        yield "high", f"must be greater than low ({low:g}), got {high:g}"
    if parameter.log and low is not None and low <= 0:
        yield "low", f"must be greater than 0 with log = true, got {low:g}"
    if parameter.log and parameter.step is not None:
        yield "step", "and log = true are mutually exclusive"


def _misfits(sweep: Sweep, run_file: Path, base: RunConfig, registry: Registry) -> Iterator[Mistake]:
    """Mistakes in the sweep and its run file together, and the size of the grid."""
    if sweep.sampler.type == "grid" and (size := grid_size(sweep.parameters)) > MAX_GRID:
        yield Mistake(("sampler", "type"), f"expected a grid of at most {MAX_GRID:,} points, got {size:,}")
    if not base.metrics:
        yield Mistake(
            ("objective", "metric"),
            f"{run_file} has no [[metrics]], so no trial would report '{sweep.objective.metric}'",
        )
    for place, parameter in enumerate(sweep.parameters):
        for override in ends(parameter):
            try:
                load(run_file, registry, [*sweep.set, override])
            except UserError as error:
                said = str(error).removeprefix(f"--set {override}: ")
                yield Mistake(("parameters", place, "key"), f"the run file refuses {override}: {said}")
                break
