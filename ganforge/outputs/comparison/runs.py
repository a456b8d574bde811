"""Reads what a comparison needs from run folders. Importable without torch, like the folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganforge.outputs.comparison.table import Cell, number
from ganforge.outputs.metrics_log import read_records, read_rows
from ganforge.outputs.run_folder import RunFolder

if TYPE_CHECKING:
    from ganforge.api import UserError

EVALUATIONS = "evaluations.jsonl"


@dataclass(frozen=True)
class Measured:
    """One number of one run."""

    name: str
    cell: Cell
    fingerprint: str
    depends_on: Mapping[str, Any]
    tool: str = ""
    """The distribution that computed it, and its version."""


@dataclass(frozen=True)
class RunRecord:
    """A run as recorded on disk."""

    name: str
    path: Path
    config: Mapping[str, Any]
    info: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]]
    evaluations: Sequence[Mapping[str, Any]]

    @classmethod
    def read(cls, path: Path, name: str) -> RunRecord:
        """Raises `UserError` if the folder is not a run, or a file in it is damaged."""
        run = RunFolder.open(path)
        try:
            config = run.read_config()
        except ValueError as error:
            raise user_error(
                f"{run.config}: not TOML: {error}; restore the file that 'ganforge run' wrote"
            ) from None
        rows, evaluations = read_rows(run.metrics), read_records(path / EVALUATIONS)
        for line, record in enumerate(evaluations, start=1):
            if not _is_record(record):
                where = f"{path / EVALUATIONS}:{line}"
                raise user_error(
                    f"{where}: expected the record of an evaluation; remove the line and try again"
                )
        return cls(name, path, config, run.read_info(), rows, evaluations)

    @property
    def images_seen(self) -> int | None:
        """A stop leaves a checkpoint, but not always a row: evaluations count too."""
        seen: list[int] = [line["images_seen"] for line in (*self.rows[-1:], *self.evaluations)]
        return max(seen, default=None)

    @property
    def has_average(self) -> bool:
        """The run keeps a moving average of its generator, which is what metrics use."""
        return bool(self.config.get("ema", {}).get("halflife"))

    @property
    def untraceable(self) -> int:
        """Number of evaluated values without a record of what they depend on."""
        return sum("fingerprint" not in metric for record in self.evaluations for metric in record["metrics"])

    def evaluated(self) -> Iterator[Measured]:
        """The values recorded by `ganforge evaluate`, the newest of each kind."""
        newest: dict[tuple[str, str], Measured] = {}
        for record in self.evaluations:
            usual = record["network"] == ("ema" if self.has_average else "raw")
            remarks = [] if self.has_average else ["no moving average"]
            if record["images_seen"] != self.images_seen:
                remarks.append(f"at {record['images_seen']:,} images")
            for metric in record["metrics"]:
                if "fingerprint" not in metric:
                    continue
                plugin = metric.get("plugin", {})
                tool = f"{plugin.get('distribution', '?')} {plugin.get('version', '?')}"
                for name, cell in _cells(metric["values"], len(metric["seeds"]), ", ".join(remarks)):
                    name = name if usual else f"{name} (weights as trained)"
                    found = Measured(name, cell, metric["fingerprint"], metric["depends_on"], tool)
                    newest[name, found.fingerprint] = found
        yield from newest.values()

    def in_training(self) -> Iterator[Measured]:
        """The last values of the metrics that the run computed during training. The log does not
        record which metric computed a value, so each is assumed to depend on all of them."""
        metrics: Sequence[Mapping[str, Any]] = self.info.get("metrics", [])
        depends_on = {
            f"{place}.{metric['type']}": metric["depends_on"] for place, metric in enumerate(metrics)
        }
        joint = "+".join(sorted(metric["fingerprint"] for metric in metrics))
        counts = {metric["settings"]["repeats"] for metric in metrics if "repeats" in metric["settings"]}
        repeats = counts.pop() if len(counts) == 1 else None
        last: dict[str, Cell] = {}
        for row in self.rows:
            found = {key.removeprefix("metric/"): row[key] for key in row if key.startswith("metric/")}
            seen = row["images_seen"]
            remark = "" if seen == self.images_seen else f"at {seen:,} images"
            last |= dict(_cells(found, repeats, remark))
        for name, cell in last.items():
            yield Measured(name, cell, joint or f"unknown in {self.path}", depends_on)


def _cells(
    values: Mapping[str, float | None], repeats: int | None, remark: str
) -> Iterator[tuple[str, Cell]]:
    """Each value with its standard deviation, which is a value of its own in the records."""
    for name, value in values.items():
        if name.endswith("_std") and name.removesuffix("_std") in values:
            continue
        yield name, Cell(number(value), value, values.get(f"{name}_std"), repeats, remark)


def _is_record(record: Any) -> bool:
    """Whether it has the keys that are read here; validating their values is evaluate's job."""
    if not isinstance(record, dict) or not {"images_seen", "network", "metrics"} <= record.keys():
        return False
    metrics = record["metrics"]
    return isinstance(metrics, list) and all(
        isinstance(metric, dict) and {"values", "seeds"} <= metric.keys() for metric in metrics
    )


def user_error(message: str) -> UserError:
    """Imported late, because its package imports torch."""
    from ganforge.api import UserError

    return UserError(message)
