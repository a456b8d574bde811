"""The loop: iterations of the schedule until the images are seen or a stop is asked for."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from ganforge.api import Metric, Role, Samples
from ganforge.config import RunConfig
from ganforge.engine import checkpoint
from ganforge.engine.batches import Batches
from ganforge.engine.ema import MovingAverage
from ganforge.engine.grids import Grid, backdrop, grids
from ganforge.engine.sampler import GeneratorSampler
from ganforge.engine.schedule import lr_factor, set_learning_rate
from ganforge.engine.step import Game
from ganforge.engine.stopping import StopRequest

Row = Mapping[str, float | int]


class Observer(Protocol):
    """Who is told how the run goes; only in the main process."""

    def row(self, row: Row) -> None:
        """A row of the log."""

    def tick(self, images_seen: int) -> None:
        """An iteration is over; must be cheap."""

    def grid(self, images_seen: int, grid: Grid) -> None:
        """Samples from fixed latents and conditions."""

    def say(self, line: str) -> None:
        """A line for the user."""


class Loop:
    """Drives a game through a run, and can put its whole state into a checkpoint and back."""

    def __init__(
        self,
        game: Game,
        batches: Batches,
        samples: Samples,
        config: RunConfig,
        sampler: GeneratorSampler,
        average: MovingAverage | None,
        observer: Observer,
        checkpoints: Path,
    ) -> None:
        self.game = game
        self.batches = batches
        self.samples = samples
        self.config = config
        self.sampler = sampler
        self.average = average
        self.observer = observer
        self.checkpoints = checkpoints
        d_turns: list[Role] = ["d"] * config.train.d_updates
        g_turns: list[Role] = ["g"] * config.train.g_updates
        self.schedule: Sequence[Role] = d_turns + g_turns
        self.iteration = 0
        self.images_seen = 0
        self.seconds = 0.0
        self._saved_at = -1
        self._warned = False

    @property
    def per_iteration(self) -> int:
        """Real images shown in one iteration, over all processes."""
        return self.config.train.batch_size * self.config.train.d_updates

    def run(self, stop: StopRequest) -> bool:
        """Trains until done; False where it stopped earlier. Leaves a checkpoint either way."""
        logging, train = self.config.logging, self.config.train
        started, since, seen_then = time.monotonic() - self.seconds, time.monotonic(), self.images_seen
        if self.images_seen == 0:
            self._grid()
        stopped = False
        while self.images_seen < train.images and not stopped:
            last = self.images_seen + self.per_iteration >= train.images
            # The flags are looked at before the iteration, so that its update can measure more.
            log = last or self._passes(logging.every) or self.iteration == 0
            self._iterate(log)
            stopped = self.game.runtime.any(bool(stop))
            now = time.monotonic()
            self.seconds = now - started
            if log:
                self._log((self.images_seen - seen_then) / max(now - since, 1e-9))
                since, seen_then = now, self.images_seen
            if self.game.runtime.is_main:
                self.observer.tick(self.images_seen)
            self._measure()
            if logging.grid_every and (self._passed(logging.grid_every) or last or stopped):
                self._grid()
            if self._passed(logging.checkpoint_every) and not last:
                self.save()
        if self._saved_at != self.images_seen:
            self.save()
        return self.images_seen >= train.images

    def _iterate(self, measure: bool) -> None:
        """The schedule once: each update of D sees a fresh batch, G's sees the last of them."""
        train = self.config.train
        factor = lr_factor(self.config.lr, self.images_seen, train.images)
        for player in self.game.players.values():
            set_learning_rate(player.optimizer, factor)
        batch = None
        for position, role in enumerate(self.schedule):
            if role == "d" or batch is None:
                batch = self.batches.at(self.iteration * train.d_updates + position)
            self.game.update(role, batch, measure)
        self.iteration += 1
        self.images_seen += self.per_iteration
        if self.average is not None:
            self.average.update(self.game.players["g"].network, self.per_iteration, self.images_seen)

    def _passes(self, every: int) -> bool:
        """Whether the coming iteration reaches a multiple of `every` images."""
        return (self.images_seen + self.per_iteration) // every > self.images_seen // every

    def _passed(self, every: int) -> bool:
        """Whether the last iteration did."""
        return self.images_seen // every > (self.images_seen - self.per_iteration) // every

    def _log(self, images_per_second: float) -> None:
        means = self.game.tally.take()
        rates = {
            f"lr/{role}": player.optimizer.param_groups[0]["lr"] for role, player in self.game.players.items()
        }
        self._row({"images_per_second": images_per_second, "seconds": self.seconds, **rates, **means})
        bad = sorted(name for name, value in means.items() if not math.isfinite(value))
        if bad and not self._warned:
            self._warned = True
            self._say(f"warning: not finite at {self.images_seen:,} images: {', '.join(bad)}")

    def _measure(self) -> None:
        due = [metric for metric in self.config.metrics if self._passed(metric.every)]
        values: dict[str, float] = {}
        for metric in due:
            values |= {f"metric/{name}": value for name, value in self._compute(metric).items()}
        if values:
            self._row(values)

    def _compute(self, metric: Metric) -> dict[str, float]:
        return metric.compute(self.sampler, self.samples) if self.game.runtime.is_main else {}

    def _row(self, values: Row) -> None:
        if self.game.runtime.is_main:
            self.observer.row({"iteration": self.iteration, "images_seen": self.images_seen, **values})

    def _grid(self) -> None:
        if self.game.runtime.is_main and self.config.logging.grid_every:
            count, spec = self.config.logging.grid_samples, self.sampler.spec
            for grid in grids(self.sampler, self.config.train.seed, count):
                if spec.shape == (2,) and spec.labels.kind == "none":
                    critic = self.game.players["d"].network
                    grid = grid._replace(backdrop=backdrop(critic, self.samples.images, count))
                self.observer.grid(self.images_seen, grid)

    def _say(self, line: str) -> None:
        if self.game.runtime.is_main:
            self.observer.say(line)

    def save(self) -> None:
        """Writes a checkpoint at this point of the run."""
        if self.game.runtime.is_main:
            tensors, state = self.state()
            checkpoint.save(self.checkpoints, tensors, state, self.config.logging.keep_checkpoints)
        self._saved_at = self.images_seen

    def state(self) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
        """All that a continued run needs, as tensors by group and as plain data."""
        tensors: dict[str, dict[str, Tensor]] = {}
        state: dict[str, Any] = {
            "iteration": self.iteration,
            "images_seen": self.images_seen,
            "seconds": self.seconds,
            "tally": self.game.tally.state(),
            "players": {},
        }
        for role, player in self.game.players.items():
            tensors[f"network_{role}"] = checkpoint.weights(player.network)
            tensors[f"optimizer_{role}"], groups = checkpoint.pack_optimizer(player.optimizer)
            scaler = player.scaler.state_dict()
            state["players"][role] = {"updates": player.updates, "groups": groups, "scaler": scaler}
        if self.average is not None:
            tensors["generator"] = checkpoint.weights(self.average.network)
        return tensors, state

    def restore(self, tensors: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any]) -> None:
        """Puts back what `state` gave; the run then goes on as if it had not stopped."""
        self.iteration, self.images_seen = state["iteration"], state["images_seen"]
        self.seconds = state["seconds"]
        self.game.tally.restore(state["tally"])
        for role, player in self.game.players.items():
            saved = state["players"][role]
            player.network.load_state_dict(dict(tensors[f"network_{role}"]))
            checkpoint.unpack_optimizer(player.optimizer, tensors[f"optimizer_{role}"], saved["groups"])
            player.updates = saved["updates"]
            if saved["scaler"]:
                player.scaler.load_state_dict(saved["scaler"])
        if self.average is not None:
            self.average.network.load_state_dict(dict(tensors["generator"]))
        self._saved_at = self.images_seen
