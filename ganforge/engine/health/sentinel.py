"""The sentinel: rows of the log in, findings out.

A pure function of the rows and of a small memory that is plain data. The memory is saved in
checkpoints, so a resumed run finds what the uninterrupted one would have; and any run can be analyzed
again afterwards, from its metrics.jsonl.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ganforge.api import Role
from ganforge.config import Health
from ganforge.engine.health.diagnoses import DIAGNOSES, Row, Symptom

WINDOW = 16
"""Rows that a diagnosis may look back on."""


@dataclass(frozen=True)
class Finding:
    """A diagnosis, and the row at which it was made."""

    diagnosis: str
    players: tuple[Role, ...]
    """The players at fault: a rollback lowers their learning rates."""
    what: str
    """What was observed, in words."""
    advice: str
    iteration: int
    images_seen: int

    def line(self) -> str:
        return f"{self.diagnosis} at {self.images_seen:,} images: {self.what}"


class Sentinel:
    """Follows one run."""

    def __init__(self, patience: int, grace: int, ignore: Collection[str] = ()) -> None:
        """`patience`: consecutive rows that must show a symptom; `grace`: iterations before which only
        non-finite values count; `ignore`: names of diagnoses to skip."""
        self.patience = patience
        self.grace = grace
        self.diagnoses = {name: made for name, made in DIAGNOSES.items() if name not in ignore}
        self.active: dict[str, Finding] = {}
        self._rows: list[dict[str, Any]] = []
        self._peaks: dict[str, float] = {}
        self._shown: dict[str, int] = {}
        """Consecutive rows that show the symptom; if negative, that do not."""

    def inspect(self, row: Row) -> list[Finding]:
        """Takes the next row; returns the new findings."""
        if "loss/g" not in row:
            return []
        self._rows = [*self._rows, _compact(row)][-WINDOW:]
        new = []
        for name, diagnosis in self.diagnoses.items():
            symptom = None
            if diagnosis.at_once or row["iteration"] >= self.grace:
                symptom = diagnosis.check(self._rows, self._peaks)
            before = self._shown.get(name, 0)
            self._shown[name] = max(before, 0) + 1 if symptom is not None else min(before, 0) - 1
            if symptom is None:
                # Findings clear as slowly as they arise: a pattern with gaps is one finding, not many.
                if self._shown[name] <= -self.patience:
                    self.active.pop(name, None)
            elif name not in self.active and (diagnosis.at_once or self._shown[name] >= self.patience):
                self.active[name] = _finding(name, symptom, row)
                new.append(self.active[name])
        self._remember(self._rows[-1])
        return new

    def replay(self, rows: Iterable[Row]) -> list[Finding]:
        """All findings in the rows of a run."""
        return [finding for row in rows for finding in self.inspect(row)]

    @property
    def calm(self) -> bool:
        """Nothing has been found, and nothing is suspected."""
        return not self.active and all(rows <= 0 for rows in self._shown.values())

    def state(self) -> dict[str, Any]:
        """The memory, as plain data."""
        return {
            "rows": self._rows,
            "peaks": dict(self._peaks),
            "shown": dict(self._shown),
            "active": [asdict(finding) for finding in self.active.values()],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restores `state`, also after a round trip through JSON."""
        self._rows = [dict(row) for row in state["rows"]]
        self._peaks, self._shown = dict(state["peaks"]), dict(state["shown"])
        found = [Finding(**{**entry, "players": tuple(entry["players"])}) for entry in state["active"]]
        self.active = {finding.diagnosis: finding for finding in found if finding.diagnosis in self.diagnoses}

    def _remember(self, row: Mapping[str, Any]) -> None:
        for key, value in row.items():
            if key.startswith(("grad/", "lr/")) and value is not None:
                self._peaks[key] = max(value, self._peaks.get(key, 0.0))


def sentinel_of(section: Mapping[str, Any]) -> Sentinel:
    """The sentinel configured by the table `[health]` of a run file."""
    config = Health.model_validate_json(json.dumps(section))
    return Sentinel(config.patience, config.grace, config.ignore)


def _finding(name: str, symptom: Symptom, row: Row) -> Finding:
    return Finding(
        name, symptom.players, symptom.what, DIAGNOSES[name].advice, row["iteration"], row["images_seen"]
    )


def _compact(row: Row) -> dict[str, Any]:
    """The values of a row that the diagnoses read; NaN as None, as in the log."""
    kept = ("iteration", "images_seen", "lr/", "loss/", "grad/", "score/", "adversarial/", "term/", "health/")
    return {
        key: None if isinstance(value, float) and value - value != 0 else value
        for key, value in row.items()
        if key.startswith(kept)
    }
