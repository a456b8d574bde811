"""One trial, from its first process to a value, or to the reason why it has none."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ganforge.api import UserError
from ganforge.outputs.run_folder import RunFolder
from ganforge.sweep.child import Child, Tail, last_line, newest_images, running
from ganforge.sweep.folder import SweepFolder
from ganforge.sweep.space import overrides
from ganforge.sweep.spec import Sweep

if TYPE_CHECKING:
    import optuna

    from ganforge.engine.distributed.stop_request import StopRequest

POLL_S = 0.25
"""Seconds between two polls of a trial."""
BEAT_S = 2.0
"""Seconds between two heartbeats."""

DONE, BAD_INPUT, UNHEALTHY, REQUEUE = 0, 2, 3, 75
"""Exit codes of `ganforge run`."""

State = Literal["complete", "pruned", "failed", "interrupted", "lost"]


@dataclass(frozen=True)
class Ending:
    """How a trial ended, or why it has not: "interrupted" continues at the next start, "lost" was taken
    over by another worker."""

    state: State
    value: float | None = None
    why: str = ""


class MetricMissing(UserError):
    """No trial of this sweep can have a value."""


class Attempt:
    """A trial owned by this worker. Values are reported to the study as they arrive."""

    def __init__(
        self,
        trial: optuna.Trial,
        sweep: Sweep,
        folder: SweepFolder,
        stop: StopRequest,
        alive: Callable[[], bool],
        watch_finite: bool = True,
    ) -> None:
        """`alive`: sends a heartbeat, and returns whether the trial is still ours. `watch_finite`: a
        non-finite loss ends the trial; off if the run has its own remedy."""
        self.trial = trial
        self.sweep = sweep
        self.stop = stop
        self.alive = alive
        self.watch_finite = watch_finite
        self.run = RunFolder(folder.trial(trial.number))
        self.log = folder.log(trial.number)
        self.values: dict[int, float] = dict(trial.storage.get_trial(trial._trial_id).intermediate_values)
        """Images seen -> value."""
        self.names: set[str] = set()
        """Names of the run's metrics."""
        self._judged = True
        self._beaten = 0.0
        self._command = ["run", str(folder.run_file), "--out", str(self.run.path)]
        settings = [*sweep.set, *overrides(sweep.parameters, trial.params), "train.resume=auto"]
        self._command += [f"--set={setting}" for setting in settings]

    def to_its_end(self) -> Ending:
        """Trains until there is an ending. A process that was killed is restarted as long as it gets
        further each time."""
        saved = -1
        while True:
            if not self._free():
                return self._left()
            with running(self._command, self.log) as child:
                ending = self._follow(child)
            if ending is not None:
                return ending
            reached = newest_images(self.run.path)
            if reached <= saved:
                return Ending("failed", why=f"its process was killed twice at {reached:,} images")
            saved = reached

    def _free(self) -> bool:
        """Waits for a process that a killed worker left training in the run folder; False if this
        worker has to stop before its end."""
        while self._ours() and not self.stop:
            if not self.run.path.is_dir():
                return True
            try:
                with self.run.claimed():
                    return True
            except UserError:
                time.sleep(POLL_S)
        return False

    def _follow(self, child: Child) -> Ending | None:
        """Watches one process; None if it was killed and may be restarted."""
        tail = Tail(self.run.metrics)
        while True:
            code = child.wait(POLL_S)
            ending = self._take(tail.rows())
            if code is not None and ending is None:
                return self._ended(code)
            if ending is None and self._wants_pruning():
                ending = Ending("pruned", self._value(), f"worse than others at {max(self.values):,} images")
            if ending is None and (self.stop or not self._ours()):
                ending = self._left()
            if ending is not None:
                if code is None:
                    child.stop()
                return ending

    def _take(self, rows: list[dict[str, Any]]) -> Ending | None:
        """Reports new values to the study; returns an ending if the run diverged."""
        key = f"metric/{self.sweep.objective.metric}"
        for row in rows:
            seen, lost = row["images_seen"], self._not_finite(row)
            self.names |= {name.removeprefix("metric/") for name in row if name.startswith("metric/")}
            if lost:
                return Ending("pruned", self._value(), f"diverged: {lost} not finite at {seen:,} images")
            if key in row and seen not in self.values:
                self.values[seen] = float(row[key])
                self.trial.report(self.values[seen], seen)
                self._judged = False
        return None

    def _wants_pruning(self) -> bool:
        """Called once per new value."""
        if self._judged:
            return False
        self._judged = True
        return self.trial.should_prune()

    def _not_finite(self, row: Mapping[str, Any]) -> str:
        watched = {f"metric/{self.sweep.objective.metric}"}
        watched |= {"loss/d", "loss/g"} if self.watch_finite else set()
        return ", ".join(sorted(watched & set(row.get("nonfinite", []))))

    def _ended(self, code: int) -> Ending | None:
        if code == DONE:
            value = self._value()
            if value is None:
                known = ", ".join(sorted(self.names)) or "none; is the metrics' `every` longer than the run?"
                raise MetricMissing(
                    f"objective.metric: trial {self.trial.number} has no value "
                    f"'{self.sweep.objective.metric}' (its values: {known})"
                )
            return Ending("complete", value)
        if code == UNHEALTHY:
            return Ending("pruned", self._value(), f"ended by its health policy: {last_line(self.log)}")
        if self.stop:
            return Ending("interrupted")
        if code < 0 or code == REQUEUE:
            return None
        how = "refused" if code == BAD_INPUT else f"crashed (exit code {code})"
        return Ending("failed", why=f"{how}: {last_line(self.log)}")

    def _value(self) -> float | None:
        """The value that counts, of those so far."""
        finite = {seen: value for seen, value in self.values.items() if math.isfinite(value)}
        if not finite:
            return None
        if self.sweep.objective.take == "last":
            return finite[max(finite)]
        return max(finite.values()) if self.sweep.objective.direction == "maximize" else min(finite.values())

    def _ours(self) -> bool:
        now = time.monotonic()
        if now - self._beaten < min(BEAT_S, self.sweep.storage.grace_s / 4):
            return True
        self._beaten = now
        return self.alive()

    def _left(self) -> Ending:
        return Ending("interrupted" if self.stop else "lost")
