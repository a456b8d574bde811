"""The content of a study, as plain data for a message, a table or a chart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganforge.sweep.folder import SweepFolder
from ganforge.sweep.spec import Sweep

if TYPE_CHECKING:
    import optuna

NAMES = {
    "COMPLETE": "complete",
    "PRUNED": "pruned",
    "FAIL": "failed",
    "RUNNING": "running",
    "WAITING": "waiting",
}


@dataclass(frozen=True)
class TrialRecord:
    """A trial that has started."""

    number: int
    state: str
    value: float | None
    """Objective of a complete trial; for others the last value, if any."""
    parameters: Mapping[str, Any]
    values: Mapping[int, float]
    """Images seen -> the objective."""
    run: Path
    seconds: float | None
    why: str


@dataclass(frozen=True)
class Summary:
    """State of a sweep."""

    trials: Sequence[TrialRecord]
    best: TrialRecord | None

    @property
    def ended(self) -> int:
        """Trials that have ended."""
        return sum(trial.state != "running" for trial in self.trials)

    @property
    def counts(self) -> str:
        """Such as "14 complete, 5 pruned"."""
        counted = Counter(trial.state for trial in self.trials)
        return ", ".join(f"{counted[name]} {name}" for name in NAMES.values() if counted[name])


def summarize(study: optuna.Study, sweep: Sweep, folder: SweepFolder) -> Summary:
    """The trials in order, and the best complete one; ties go to the first."""
    begun = [each for each in study.get_trials(deepcopy=False) if each.state.name != "WAITING"]
    trials = [_record(each, folder) for each in begun]
    complete = [trial for trial in trials if trial.state == "complete"]
    sign = -1 if sweep.objective.direction == "maximize" else 1
    best = min(complete, key=lambda trial: sign * (trial.value or 0.0), default=None)
    return Summary(trials, best)


def _record(trial: optuna.trial.FrozenTrial, folder: SweepFolder) -> TrialRecord:
    values = trial.intermediate_values
    over = trial.datetime_start and trial.datetime_complete
    return TrialRecord(
        number=trial.number,
        state=NAMES[trial.state.name],
        value=trial.value if trial.value is not None else values[max(values)] if values else None,
        parameters=trial.params,
        values=values,
        run=folder.trial(trial.number),
        seconds=trial.duration.total_seconds() if over and trial.duration else None,
        why=str(trial.user_attrs.get("why", "")),
    )
