"""`train` and `check`: a run file, or tables like it, from Python."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganforge.api import UserError
from ganforge.components import registry
from ganforge.config import RunConfig, dump, load
from ganforge.config.load import from_tables
from ganforge.engine.distributed.stop_request import Interrupted, StopRequest
from ganforge.facade.run import Run, load_run
from ganforge.profiling.preflight import Preflight, preflight
from ganforge.profiling.preflight_report import preflight_report
from ganforge.training import run as training

Config = str | Path | Mapping[str, Any] | RunConfig
"""A run file, its tables, or settings that were validated before."""


@dataclass(frozen=True)
class Checked:
    """A run that can start: its settings, and its size, memory and time. As text, what `ganforge check`
    prints."""

    config: RunConfig
    preflight: Preflight
    name: str

    @property
    def warnings(self) -> tuple[str, ...]:
        """What components advise against, one line each."""
        return self.preflight.advice

    def as_json(self) -> dict[str, Any]:
        """Sizes, memory in bytes, seconds of the whole run; null where it is not known."""
        found, seconds = self.preflight, self.preflight.seconds_per_image
        return {
            "file": self.name,
            "shape": list(found.spec.shape),
            "labels": found.spec.labels.in_words(),
            "generator_parameters": found.g_parameters,
            "discriminator_parameters": found.d_parameters,
            "peak_bytes": found.peak_bytes,
            "images": found.images,
            "seconds": None if seconds is None else found.images * seconds,
            "device": found.device,
            "warnings": list(self.warnings),
            "notes": list(found.notes),
        }

    def __str__(self) -> str:
        return preflight_report(self.name, self.preflight, self.config)

    __repr__ = __str__


def check(config: Config, **overrides: Any) -> Checked:
    """Whether a run can start, how large it is, and how long it would take; opens no data.

    Overrides are tables, `train={"images": 1000}`, or dotted keys, `**{"train.images": 1000}`. Raises
    `UserError` with all mistakes.
    """
    settings = resolve(config, overrides)
    return Checked(settings, preflight(settings), _name(config))


def check_file(file: Path, overrides: Sequence[str]) -> Checked:
    """`check` with overrides as the command line has them."""
    settings = load(file, registry.discover(), overrides)
    return Checked(settings, preflight(settings), str(file))


def train(
    config: Config, *, out: str | Path | None = None, max_minutes: float | None = None, **overrides: Any
) -> Run:
    """Trains in this process, as `ganforge run` does, and returns the run; overrides: see `check`.

    The run folder is `out`, or runs/<name of the run file>. An interrupt (the notebook's stop button, Ctrl-C)
    or `max_minutes` stops the run after an iteration, with a checkpoint; `run.finished` tells. Raises
    `UserError` for a run that cannot start, and `KeyboardInterrupt` if it is stopped before its first
    iteration; then nothing is written.
    """
    settings = resolve(config, overrides)
    if out is None and not isinstance(config, str | Path):
        raise UserError("train: pass a folder for the run, such as out='runs/mine'")
    folder = Path(out) if out is not None else training.default_folder(Path(str(config)))
    try:
        command = f"ganforge.train({_name(config)!r})"
        outcome = training.start(settings, folder, registry.discover(), StopRequest(max_minutes), command)
    except Interrupted:
        raise KeyboardInterrupt("stopped during setup; nothing was written") from None
    return load_run(outcome.folder)


def resolve(config: Config, overrides: Mapping[str, Any]) -> RunConfig:
    """The validated settings. Raises `UserError` with all mistakes."""
    changes: dict[tuple[str | int, ...], Any] = dict(_flat(overrides))
    if isinstance(config, str | Path):
        return load(Path(config), registry.discover(), changes=changes)
    tables = dump(config) if isinstance(config, RunConfig) else config
    return from_tables(tables, registry.discover(), changes)


def _flat(
    tables: Mapping[str, Any], above: tuple[str | int, ...] = ()
) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """`{"train": {"images": 5}, "nets.width": 8}` -> (("train", "images"), 5), (("nets", "width"), 8)."""
    for key, value in tables.items():
        path = (*above, *str(key).split("."))
        if isinstance(value, Mapping):
            yield from _flat(value, path)
        else:
            yield path, value


def _name(config: Config) -> str:
    return str(config) if isinstance(config, str | Path) else "config"
