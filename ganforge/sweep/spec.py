"""The type of a sweep file."""

from __future__ import annotations

from pathlib import Path
from types import GenericAlias
from typing import Any, Literal

from pydantic import Field, create_model

from ganforge.config import Section

Scalar = bool | int | float | str
Choice = Scalar | tuple[Scalar, ...]


class Objective(Section):
    """What a trial is judged by."""

    metric: str = Field(
        min_length=1, description="A metric's value, as metrics.jsonl names it behind 'metric/'."
    )
    direction: Literal["maximize", "minimize"] = Field(description="Which values are good.")
    take: Literal["last", "best"] = Field(
        "last", description="Which of a trial's values counts: that of its end, or the best on its way."
    )


class Sampler(Section):
    """Who chooses the parameters."""

    type: Literal["tpe", "random", "grid"] = Field(
        "tpe",
        description="tpe = near what has been good; random; grid = each combination once, in order (every "
        "parameter then needs choices or a step).",
    )
    seed: int = Field(0, ge=0, description="Of the choices; trial n draws from (seed, n).")
    startup: int = Field(10, ge=1, description="tpe: trials at the start that are random.")


class Pruner(Section):
    """Who ends a trial early, by the objective's values as they come."""

    type: Literal["none", "median", "hyperband"] = Field(
        "none",
        description="median = worse than half of the trials were at that point; hyperband = as many "
        "trials as fit start, and the better share of them goes on at each rung.",
    )
    startup: int = Field(5, ge=0, description="median: complete trials before any is ended.")
    warmup_images: int = Field(
        0,
        ge=0,
        description="Images before a trial is ended; for hyperband its first rung, 0 = 1/27 of a run.",
    )
    factor: int = Field(3, ge=2, description="hyperband: of so many trials at a rung, one goes on.")


class Storage(Section):
    """Where the study is written down; the runs are in the sweep folder in any case."""

    type: Literal["journal", "sqlite", "postgresql"] = Field(
        "journal",
        description="journal = a file in the sweep folder, also where NFS shares it; sqlite = one there, for "
        "one machine; postgresql = a server, for many.",
    )
    url_from: str = Field(
        "GANFORGE_SWEEP_URL",
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="postgresql: the environment variable with the URL, such as "
        "postgresql://user:password@host/database; a password does not belong in a file.",
    )
    grace_s: float = Field(
        60.0, gt=0, description="Seconds without a sign of life after which a worker's trial is taken over."
    )


class Parameter(Section):
    """A key of the run file and the values it may have."""

    key: str = Field(pattern=r"^[^\s.=]+(\.[^\s.=]+)*$", description="As for --set: generator.optimizer.lr.")
    kind: Literal["float", "int", "choice"] = Field(description="A range of numbers, or a list.")
    low: float | None = Field(None, description="Smallest value of a range.")
    high: float | None = Field(None, description="Largest value of a range.")
    log: bool = Field(False, description="The logarithm is what is drawn evenly.")
    step: float | None = Field(
        None, gt=0, description="Distance of the values of a range; absent = any value."
    )
    choices: tuple[Choice, ...] = Field((), description="The values of a choice.")


class Sweep(Section):
    """A sweep: everything that a sweep file says."""

    run: Path = Field(description="The run file, seen from the sweep file's folder.")
    set: tuple[str, ...] = Field((), description="Changes of the run file for all trials, as for --set.")
    trials: int = Field(20, ge=1, description="Trials in all, over all workers.")
    objective: Objective = Field(description="What a trial is judged by.")
    sampler: Sampler = Field(Sampler(), description="Who chooses the parameters.")
    pruner: Pruner = Field(Pruner(), description="Who ends a trial early.")
    storage: Storage = Field(Storage(), description="Where the study is written down.")
    parameters: tuple[Parameter, ...] = Field(min_length=1, description="What is varied.")


def narrow(document: dict[str, Any]) -> type[Sweep]:
    """The type of this file, with as many parameters as it has: so each mistake in one is explained
    with the keys that a parameter has."""
    tables = document.get("parameters")
    if not isinstance(tables, list) or not tables:
        return Sweep
    create: Any = create_model
    members: Any = GenericAlias(tuple, (Parameter,) * len(tables))
    narrowed: type[Sweep] = create("Sweep", __base__=Sweep, parameters=(members, ...))
    return narrowed
