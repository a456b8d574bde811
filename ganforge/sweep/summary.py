"""What a study holds, as plain data for a line, a table or a chart."""

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
    """A trial that has begun."""

    number: int
    state: str
    value: float | None
    """Of a complete trial: what it is judged by; of another one its last value, if it has one."""
    parameters: Mapping[str, Any]
    values: Mapping[int, float]
    """Images seen -> the objective."""
    run: Path
    seconds: float | None
    why: str


@dataclass(frozen=True)
class Summary:
    """A sweep so far."""

    trials: Sequence[TrialRecord]
    best: TrialRecord | None

    @property
    def ended(self) -> int:
        """Trials that are over."""
        return sum(trial.state != "running" for trial in self.trials)

    @property
    def counts(self) -> str:
        """Such as "14 complete, 5 pruned"."""
        counted = Counter(trial.state for trial in self.trials)
        return ", ".join(f"{counted[name]} {name}" for name in NAMES.values() if counted[name])


def summarize(study: optuna.Study, sweep: Sweep, folder: SweepFolder) -> Summary:
    """The trials in their order, and the best complete one; of equals the first."""
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
