"""The loop: iterations of the schedule until all images are seen or a stop is requested."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from ganforge.api import Metric, Role, Samples
from ganforge.config import RunConfig
from ganforge.engine.acceleration.compile_trial import Trial
from ganforge.engine.acceleration.graph_replay import Replays
from ganforge.engine.checkpoint import checkpoint
from ganforge.engine.checkpoint.background import Saver
from ganforge.engine.checkpoint.best import Best
from ganforge.engine.checkpoint.healthy import load_last_healthy, remove_after
from ganforge.engine.data.batches import Batches
from ganforge.engine.distributed.log_reduction import Pool
from ganforge.engine.distributed.stop_request import StopRequest
from ganforge.engine.game_state import pack_game, unpack_game
from ganforge.engine.health.guard import Guard
from ganforge.engine.instruments.memory import peak_memory
from ganforge.engine.instruments.running_means import shares
from ganforge.engine.metric_values import measure
from ganforge.engine.observer import Observer, Row
from ganforge.engine.replica_check import check_agreement
from ganforge.engine.rollback import GoBack, Stop, decide
from ganforge.engine.sampling.ema import MovingAverage
from ganforge.engine.sampling.grids import pictures
from ganforge.engine.sampling.sampler import GeneratorSampler
from ganforge.engine.update.game import Game
from ganforge.engine.update.schedule import lr_factor, set_hyperparameters, turns


class Loop:
    """Runs a game to its end, and saves and restores its whole state."""

    def __init__(
        self,
        game: Game,
        batches: Batches,
        samples: Samples,
        config: RunConfig,
        sampler: GeneratorSampler,
        averages: Mapping[str, MovingAverage],
        observer: Observer,
        checkpoints: Path,
    ) -> None:
        self.game = game
        self.batches = batches
        self.samples = samples
        self.config = config
        self.sampler = sampler
        self.averages = averages
        self.observer = observer
        self.checkpoints = checkpoints
        self.saver = Saver(checkpoints, config.logging.keep_checkpoints)
        self.best = Best(config.logging.keep_best, config.logging.best_is)
        self.pool = Pool(game.runtime, self.say)
        self.stamp: Mapping[str, Any] = {}
        """Provenance stored in every checkpoint; plain data."""
        d_turns: list[Role] = ["d"] * config.train.d_updates
        g_turns: list[Role] = ["g"] * config.train.g_updates
        self.schedule: Sequence[Role] = d_turns + g_turns
        self.replays: Replays | None = None
        """Graph replay of the updates, if the device supports it."""
        self.trial = Trial(config.train.compile, game, self.say)
        self.iteration = 0
        self.images_seen = 0
        self.seconds = 0.0
        self.owes_metrics = False
        """The metrics of this point are still owed: a stop came before or during their computation."""
        self.guard = Guard(config.health, game, samples, config.train.seed)
        self.diagnosis: str | None = None
        """Why `health.policy` ended the run."""
        self.events = 0
        """Events recorded so far, without those of a future that a kill has undone."""
        self._saved_at = -1

    @property
    def per_iteration(self) -> int:
        """Real images shown in one iteration, over all processes."""
        return self.config.train.batch_size * self.config.train.d_updates

    def run(self, stop: StopRequest) -> bool:
        """Trains until done; False where it stopped earlier. Leaves a checkpoint either way."""
        logging, train = self.config.logging, self.config.train
        self.game.runtime.stop = stop
        started, since, seen_then = time.monotonic() - self.seconds, time.monotonic(), self.images_seen
        if self.images_seen == 0:
            self._grid()
            if self.config.health.policy == "rollback":
                self.save()
        with self.saver:
            stopped = self._compute_owed(stop)
            while self.images_seen < train.images and not stopped:
                last = self.images_seen + self.per_iteration >= train.images
                # The flags are computed before the iteration, so that its update can measure more.
                log = last or self._passes(logging.every) or self.iteration == 0
                self._iterate(log)
                stopped = self.game.runtime.asked_to_stop()
                now = time.monotonic()
                self.seconds = now - started
                if log:
                    self._log((self.images_seen - seen_then) / max(now - since, 1e-9))
                    went_back = self._act_on_findings(stop)
                    since, seen_then = now, self.images_seen
                    if went_back:
                        continue
                    stopped = stopped or self.diagnosis is not None
                if self.game.runtime.is_main:
                    self.observer.tick(self.images_seen)
                self.owes_metrics = bool(self._due_metrics())
                stopped = stopped or self._compute_owed(stop)
                if logging.grid_every and (self._passed(logging.grid_every) or last or stopped):
                    self._grid()
                best = self.best.images_seen == self.images_seen
                if (self._passed(logging.checkpoint_every) and not last) or best:
                    self.save()
            if self._saved_at != self.images_seen:
                self.save()
        return self.images_seen >= train.images and not self.owes_metrics

    def _iterate(self, measure: bool) -> None:
        """One pass of the schedule."""
        train = self.config.train
        factor = lr_factor(self.config.lr, self.images_seen, train.images)
        for player in self.game.players.values():
            set_hyperparameters(player, factor * self.guard.history.lr[player.role], self.images_seen)
        self.game.live.at(self.images_seen)
        self.game.runtime.work_timer.iteration()
        coming = partial(turns, self.schedule, self.batches.at, self.iteration * train.d_updates)
        play = self.game.play if self.replays is None else self.replays.play
        self.trial.iterate(play, self.iteration, coming, measure)
        self.game.runtime.work_timer.stop()
        self.iteration += 1
        self.images_seen += self.per_iteration
        for average in self.averages.values():
            average.update(self.game.players["g"].network, self.per_iteration, self.images_seen)

    def _passes(self, every: int) -> bool:
        """Whether the coming iteration reaches a multiple of `every` images."""
        return (self.images_seen + self.per_iteration) // every > self.images_seen // every

    def _passed(self, every: int) -> bool:
        """Whether the last iteration did."""
        return self.images_seen // every > (self.images_seen - self.per_iteration) // every

    def _log(self, images_per_second: float) -> None:
        means = shares(self.pool.means(self.game.means.take()))
        rates = {
            f"lr/{role}": float(player.optimizer.param_groups[0]["lr"])
            for role, player in self.game.players.items()
        }
        cost = {"seconds": self.seconds, **peak_memory(self.game.runtime.device)}
        self.guard.forget_if_well(means)
        if not self.game.runtime.is_main:
            return
        health = self.guard.signals(means, self.schedule)
        row = self._row({"images_per_second": images_per_second, **cost, **rates, **means, **health})
        for finding in self.guard.inspect(row):
            self.tell_event({"event": "finding", **asdict(finding)})
            self.say(f"health: {finding.line()}")
            self.say(f"  try: {finding.advice}")

    def _act_on_findings(self, stop: StopRequest) -> bool:
        """Carries out the policy's decision, the same in all processes. True if the run was rolled back; if
        it must end, `diagnosis` is set and `stop` has a reason."""
        policy, findings = self.config.health, self.guard.findings(self.images_seen)
        decision = decide(findings, self.guard.history, policy)
        if isinstance(decision, GoBack):
            if self._go_back(decision):
                return True
            decision = decide(findings, self.guard.history, policy, healthy_checkpoint=False)
        if isinstance(decision, Stop):
            self.diagnosis = decision.reason
            stop.reason = stop.reason or f"health.policy = '{policy.policy}'"
            self.tell_event({"event": "gave up" if decision.gave_up else "stop", "what": decision.reason})
        return False

    def _go_back(self, decision: GoBack) -> bool:
        """Restores the newest readable healthy checkpoint; False if there is none."""
        runtime, spent, events = self.game.runtime, self.seconds, self.events
        self.saver.wait()
        # Nobody reads checkpoints before the main process has written its last.
        runtime.any(False)
        found = load_last_healthy(self.checkpoints, self.say)
        if runtime.any(found is None) or found is None:
            return False
        self.restore(*found)
        self.seconds, self.events, self.guard.history = spent, events, decision.history
        self.reseed()
        # At once, so that a run that is killed now knows, when it is resumed, that it was rolled back.
        self.tell_event(decision.event())
        self.save()
        self.saver.wait()
        if runtime.is_main:
            remove_after(self.checkpoints, self.images_seen)
            self.observer.cut(self.images_seen)
        self.say(decision.line(self.images_seen))
        return True

    def _compute_owed(self, stop: StopRequest) -> bool:
        """Computes the owed metrics. A signal interrupts this, and they stay owed: the resumed run starts
        with them. Returns whether that happened."""
        if not self.owes_metrics:
            return False
        values = measure(self._due_metrics(), self.sampler, self.samples, self.pool)
        if values:
            self._row({f"metric/{name}": value for name, value in values.items()})
            everything = len(self._due_metrics()) == len(self.config.metrics)
            for line in self.best.update(values, self.images_seen, everything):
                self.say(line)
        self.owes_metrics = values is None
        # A checkpoint of this point, if there is one, still records that they are owed.
        self._saved_at = self._saved_at if self.owes_metrics else -1
        return self.owes_metrics

    def _due_metrics(self) -> list[Metric]:
        return [metric for metric in self.config.metrics if self._passed(metric.every)]

    def _row(self, values: Row) -> Row:
        row = {"iteration": self.iteration, "images_seen": self.images_seen, **values}
        if self.game.runtime.is_main:
            self.observer.row(row)
        return row

    def _grid(self) -> None:
        if not self.config.logging.grid_every:
            return
        # In every process: the sampler divides the work among them.
        for grid in pictures(self.sampler, self.config, self.game.players["d"].network, self.samples.images):
            if self.game.runtime.is_main:
                self.observer.grid(self.images_seen, grid)

    def say(self, line: str) -> None:
        """A line for the user, from the main process."""
        if self.game.runtime.is_main:
            self.observer.say(line)

    def tell_event(self, event: Mapping[str, Any]) -> None:
        """Records an event at this point of the run."""
        if self.game.runtime.is_main:
            now = {"iteration": self.iteration, "images_seen": self.images_seen}
            self.observer.event({**now, **event})
            self.events += 1

    def save(self) -> None:
        """Starts writing a checkpoint of this point of the run; `saver.wait()` waits for it."""
        check_agreement(self.game, self.averages, self.images_seen)
        self.game.means.merge(self.game.runtime.mean)
        self.game.live.gather(self.game.runtime)
        if self.game.runtime.is_main:
            self.guard.mark(self.images_seen)
            self.saver.save(*self.state())
        self._saved_at = self.images_seen

    def state(self) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
        """Everything that a resumed run needs, as tensors by group and as plain data."""
        tensors, game = pack_game(self.game)
        state = {
            "iteration": self.iteration,
            "images_seen": self.images_seen,
            "seconds": self.seconds,
            "owes_metrics": self.owes_metrics,
            "events": self.events,
            "best": self.best.state(),
            "stamp": dict(self.stamp),
            "health": self.guard.state(),
            "compile": self.trial.state(),
            **game,
        }
        tensors |= {group: checkpoint.weights(each.network) for group, each in self.averages.items()}
        return tensors, state

    def restore(self, tensors: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any]) -> None:
        """Restores `state`; the run then continues as if it had not stopped."""
        self.iteration, self.images_seen = state["iteration"], state["images_seen"]
        self.seconds = state["seconds"]
        self.owes_metrics = state["owes_metrics"]
        self.events = state.get("events", 0)
        self.best.restore(state["best"])
        unpack_game(self.game, tensors, state)
        for group, average in self.averages.items():
            average.network.load_state_dict(dict(tensors[group]))
        self.guard.restore(state["health"])
        self.trial.restore(state.get("compile"))
        self.reseed()
        self._saved_at = self.images_seen

    def reseed(self) -> None:
        """Reseeds all random streams, depending on the run's rollbacks."""
        self.game.seed = self.guard.stream
        self.batches.reseed(self.guard.stream)
