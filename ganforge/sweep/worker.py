"""A worker: runs one trial after another until the sweep has the requested number.

Several workers need no leader. A worker that starts a trial holds the folder's lock; a trial whose
worker is gone is taken over before a new one is started, in the same run folder, from its
checkpoint.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganforge.components.registry import Registry
from ganforge.outputs.progress import duration
from ganforge.sweep.folder import Life, SweepFolder
from ganforge.sweep.load import Loaded, load_sweep
from ganforge.sweep.space import distributions, grid, grid_size
from ganforge.sweep.study import open_study, sampler_of
from ganforge.sweep.summary import Summary, summarize
from ganforge.sweep.trial import Attempt, Ending, MetricMissing

if TYPE_CHECKING:
    import optuna

    from ganforge.engine.distributed.stop_request import StopRequest

WAIT_S = 0.5
"""Seconds between two polls of the other workers."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """How a worker's part of a sweep ended."""

    folder: SweepFolder
    summary: Summary
    finished: bool
    """The requested number of trials has ended; otherwise it stopped before."""


def default_folder(sweep_file: Path) -> Path:
    """`sweeps/<name of the sweep file>`, in the working directory."""
    return Path("sweeps") / sweep_file.stem


def sweep(
    file: Path,
    registry: Registry,
    stop: StopRequest,
    say: Say,
    out: Path | None = None,
    trials: int | None = None,
) -> Outcome:
    """Starts the sweep of a sweep file, joins its workers, or continues it.

    `trials` overrides the file's. Raises `UserError` if it cannot start.
    """
    loaded = load_sweep(file, registry)
    folder = SweepFolder(out or default_folder(file))
    with stop:
        worker = Worker(loaded, folder, stop, say, trials or loaded.sweep.trials)
        finished = worker.work()
    return Outcome(folder, summarize(worker.study, loaded.sweep, folder), finished)


class Worker:
    """One of the workers that share a sweep."""

    def __init__(self, loaded: Loaded, folder: SweepFolder, stop: StopRequest, say: Say, trials: int) -> None:
        self.sweep = loaded.sweep
        self.folder = folder
        self.stop = stop
        self.say = say
        points = self.sweep.parameters
        self.total = min(trials, grid_size(points)) if self.sweep.sampler.type == "grid" else trials
        self.watch_finite = loaded.base.health.policy != "rollback"
        self.life = Life(folder, self.sweep.storage.grace_s)
        name = folder.begin(loaded)
        with folder.alone():
            self.study = open_study(folder.path, name, self.sweep, loaded.base.train.images)
            if self.sweep.sampler.type == "grid" and not self.study.get_trials(deepcopy=False):
                for point in grid(points):
                    self.study.enqueue_trial(point)

    def work(self) -> bool:
        """Returns whether the sweep is finished."""
        waiting = False
        with self.life:
            while not self.stop:
                trial = self._next()
                if trial is not None:
                    self._attempt(trial)
                    continue
                others = len(self._running())
                if not others:
                    return True
                if not waiting:
                    self.say(f"waiting for trials of other workers: {others} (Ctrl-C to leave)")
                    waiting = True
                self.life.beat()
                time.sleep(WAIT_S)
        return False

    def _next(self) -> optuna.Trial | None:
        """A trial that nobody else has: an abandoned one, or a new one; None if there is neither."""
        import optuna

        with self.folder.alone():
            for left in self._running():
                if self.life.has_left(left.user_attrs.get("worker")):
                    return self._mine(optuna.Trial(self.study, left._trial_id))
            states = [each.state for each in self.study.get_trials(deepcopy=False)]
            begun = sum(state != optuna.trial.TrialState.WAITING for state in states)
            if begun >= self.total:
                return None
            self.study.sampler = sampler_of(self.sweep.sampler, begun)
            return self._mine(self.study.ask(distributions(self.sweep.parameters)))

    def _mine(self, trial: optuna.Trial) -> optuna.Trial:
        trial.set_user_attr("worker", self.life.name)
        return trial

    def _running(self) -> list[optuna.trial.FrozenTrial]:
        import optuna

        return self.study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.RUNNING])

    def _attempt(self, trial: optuna.Trial) -> None:
        """Runs a trial to its end, and reports it in one line."""

        def alive() -> bool:
            self.life.beat()
            owner = self.study.get_trials(deepcopy=False)[trial.number].user_attrs.get("worker")
            return bool(owner == self.life.name)

        run = self.folder.trial(trial.number)
        verb = "continues" if run.is_dir() else "starts"
        settings = ", ".join(f"{key}={_short(value)}" for key, value in trial.params.items())
        self.say(f"trial {trial.number} {verb}: {settings}; log: {self.folder.log(trial.number)}")
        attempt = Attempt(trial, self.sweep, self.folder, self.stop, alive, self.watch_finite)
        since = time.monotonic()
        try:
            ending = attempt.to_its_end()
        except MetricMissing as error:
            self._tell(trial, Ending("failed", why=str(error)))
            raise
        if ending.state == "interrupted":
            # The next worker need not wait for the grace period to pass.
            trial.set_user_attr("worker", None)
        elif ending.state != "lost":
            with self.folder.alone():
                # A machine that was suspended has lost its trial without noticing.
                ending = ending if alive() else Ending("lost")
                if ending.state != "lost":
                    self._tell(trial, ending)
        self.say(self._line(trial.number, ending, time.monotonic() - since))

    def _tell(self, trial: optuna.Trial, ending: Ending) -> None:
        import optuna

        if ending.why:
            trial.set_user_attr("why", ending.why)
        states = {
            "complete": optuna.trial.TrialState.COMPLETE,
            "pruned": optuna.trial.TrialState.PRUNED,
            "failed": optuna.trial.TrialState.FAIL,
        }
        value = ending.value if ending.state == "complete" else None
        self.study.tell(trial.number, value, state=states[ending.state])

    def _line(self, number: int, ending: Ending, seconds: float) -> str:
        metric = self.sweep.objective.metric
        what = {
            "complete": f"{metric} {_short(ending.value)}",
            "interrupted": "stopped; run the same command to continue",
            "lost": "taken over by another worker",
        }.get(ending.state, f"{ending.state}: {ending.why}")
        summary = summarize(self.study, self.sweep, self.folder)
        best = f"; best {_short(summary.best.value)} (trial {summary.best.number})" if summary.best else ""
        return f"trial {number} {what} in {duration(seconds)}; {summary.ended} of {self.total} done{best}"


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
