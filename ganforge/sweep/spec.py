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
    """What is optimized."""

    metric: str = Field(min_length=1, description="The metric, as named in metrics.jsonl after 'metric/'.")
    direction: Literal["maximize", "minimize"] = Field(description="Whether higher or lower is better.")
    take: Literal["last", "best"] = Field(
        "last", description="Which of a trial's values counts: its last, or its best."
    )


class Sampler(Section):
    """How parameters are chosen."""

    type: Literal["tpe", "random", "grid"] = Field(
        "tpe",
        description="tpe = near good trials; random; grid = each combination once, in order (every "
        "parameter then needs choices or a step).",
    )
    seed: int = Field(0, ge=0, description="Seed of the sampler; trial n draws from (seed, n).")
    startup: int = Field(10, ge=1, description="tpe: number of random trials at the start.")


class Pruner(Section):
    """Which trials are stopped early, by their values so far."""

    type: Literal["none", "median", "hyperband"] = Field(
        "none",
        description="median = stop a trial worse than half of the others at that point; hyperband = start "
        "many trials, and let the better share continue at each rung.",
    )
    startup: int = Field(5, ge=0, description="median: complete trials before any is pruned.")
    warmup_images: int = Field(
        0,
        ge=0,
        description="Images before a trial may be pruned; for hyperband the first rung, 0 = 1/27 of a run.",
    )
    factor: int = Field(3, ge=2, description="hyperband: 1 in this many trials continues at each rung.")


class Storage(Section):
    """Where the study is stored; the runs are in the sweep folder in any case."""

    type: Literal["journal", "sqlite", "postgresql"] = Field(
        "journal",
        description="journal = a file in the sweep folder, NFS included; sqlite = a file there, for one "
        "machine; postgresql = a server, for many machines.",
    )
    url_from: str = Field(
        "GANFORGE_SWEEP_URL",
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="postgresql: the environment variable with the URL, such as "
        "postgresql://user:password@host/database; a password does not belong in a file.",
    )
    grace_s: float = Field(
        60.0, gt=0, description="Seconds without a heartbeat after which another worker takes over a trial."
    )


class Parameter(Section):
    """A key of the run file and its possible values."""

    key: str = Field(pattern=r"^[^\s.=]+(\.[^\s.=]+)*$", description="As for --set: generator.optimizer.lr.")
    kind: Literal["float", "int", "choice"] = Field(description="A range of numbers, or a list.")
    low: float | None = Field(None, description="Smallest value of a range.")
    high: float | None = Field(None, description="Largest value of a range.")
    log: bool = Field(False, description="Sample uniformly in the logarithm.")
    step: float | None = Field(None, gt=0, description="Step between values of a range; absent = continuous.")
    choices: tuple[Choice, ...] = Field((), description="The values of a choice.")


class Sweep(Section):
    """A sweep file."""

    run: Path = Field(description="The run file, relative to the sweep file's folder.")
    set: tuple[str, ...] = Field((), description="Overrides of the run file for all trials, as for --set.")
    trials: int = Field(20, ge=1, description="Total number of trials, over all workers.")
    objective: Objective = Field(description="What is optimized.")
    sampler: Sampler = Field(Sampler(), description="How parameters are chosen.")
    pruner: Pruner = Field(Pruner(), description="Which trials are stopped early.")
    storage: Storage = Field(Storage(), description="Where the study is stored.")
    parameters: tuple[Parameter, ...] = Field(min_length=1, description="The keys to vary.")


def narrow(document: dict[str, Any]) -> type[Sweep]:
    """The sweep type with one entry per parameter of this file, so that each mistake in one is explained
    with the keys that a parameter has."""
    tables = document.get("parameters")
    if not isinstance(tables, list) or not tables:
        return Sweep
    create: Any = create_model
    members: Any = GenericAlias(tuple, (Parameter,) * len(tables))
    narrowed: type[Sweep] = create("Sweep", __base__=Sweep, parameters=(members, ...))
    return narrowed
