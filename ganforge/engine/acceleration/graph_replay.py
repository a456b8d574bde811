"""Iterations by CUDA graph replay: each kind of update is recorded once, and then replayed as a whole.

A small network on a fast device is bound by Python, which launches every operation separately. A recording
(a CUDA graph: `acceleration.cuda_graph`) is launched in one call. It contains operations, not control
flow, on fixed memory. So

- a batch is copied to where the recording reads it;
- generators are seeded before each replay, as in an eager update;
- the learning rate is a tensor on the device;
- an update with other lazy terms is another recording;
- Python-side counters are updated next to the replay.

Whether a component respects this is verified. The first iterations with a new recording are also run
eagerly, from the same state: once on the recorded batch, and once on the next one, where a batch, seed
or rate frozen into the recording would show. If the two differ by more than `NEAR`, or something
cannot be captured, the eager result is kept, the run continues without recordings, and the reason is
reported. Slow changes, such as a factor that a component lowers by a percent per call, go undetected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from ganforge.api import Role, leaves, mapped
from ganforge.components.faults import one_line
from ganforge.engine.acceleration.snapshot import Moment
from ganforge.engine.data.batches import Batch
from ganforge.engine.instruments.health_signals import FirstBad
from ganforge.engine.instruments.running_means import Added
from ganforge.engine.update.device_optimizer import keep_on_device
from ganforge.engine.update.game import Game
from ganforge.engine.update.player import Player
from ganforge.engine.update.schedule import Turns

WARM_UP = 3
"""Warm-up: eager iterations before the first recording, which create optimizer state and choose kernels."""
CHECKS = 2
"""Iterations in which a recording is compared with the eager update."""
NEAR = 0.05
"""Maximum distance between the two, as a share of the step: kernels may sum in another order."""


class Recording(Protocol):
    """Recorded operations on a device."""

    def record(self, work: Callable[[], None]) -> None:
        """Records what `work` would do, without executing it."""

    def replay(self) -> None:
        """Executes the recording."""


class Update(NamedTuple):
    """A recorded update."""

    recording: Recording
    names: tuple[str, ...]
    """What it adds to the running means, one name per scalar."""
    noted: tuple[Added, ...]
    """What it logs, in the memory that each replay writes."""


Key = tuple[Role, tuple[str, ...]]
"""Player, and the terms that determine what its recording reads and writes."""


class Replays:
    """Plays the iterations of a game, by recordings as soon as these are verified."""

    def __init__(
        self,
        game: Game,
        schedule: Sequence[Role],
        blank: Callable[[], Recording],
        say: Callable[[str], None],
    ) -> None:
        """`schedule`: the roles of one iteration; `blank`: creates an empty recording."""
        self.game = game
        self.schedule = schedule
        self.blank = blank
        self.say = say
        self.recorded = 0
        """Recordings made so far, over all optimizer states."""
        self.replayed = 0
        """Updates replayed so far, including those of the comparison."""
        self._announced = False
        self._given_up = False
        """All updates are eager from now on."""
        self._plain = 0
        self._updates: dict[Key, Update] = {}
        self._checked: dict[Key, int] = {}
        self._place: Batch | None = None
        """Input memory of the recordings."""
        self._shown: Batch | None = None
        """The batch in it."""
        self._states: list[object] = []
        """The optimizer state that all recordings are bound to."""

    def play(self, turns: Turns, measure: bool = False) -> None:
        """One iteration. With `measure` always eager: it reads more, and is rare."""
        states = [player.optimizer.state for player in self.game.players.values()]
        if not self._states or any(a is not b for a, b in zip(self._states, states, strict=True)):
            self._arm()
            self._states = list(states)
        keys = list(self._ahead())
        if measure or self._given_up or self._plain < WARM_UP:
            self._plain += not measure
            self.game.play(turns, measure)
        elif all(self._checked.get(key, 0) >= CHECKS for key in keys):
            if not self._announced:
                self._announced = True
                self.say(f"cuda graphs: on ({self.recorded} updates recorded)")
            for key, (_, batch) in zip(keys, turns(), strict=True):
                self._replay(key, batch)
        else:
            self._rehearse(keys, turns)

    def _arm(self) -> None:
        """Makes the optimizers capturable. Restoring a checkpoint replaces their state; recordings made
        before that write to the old one."""
        self._updates, self._checked, self._plain = {}, {}, 0
        for player in self.game.players.values():
            keep_on_device(player.optimizer, self.game.runtime.device)

    def _ahead(self) -> Iterator[Key]:
        """The updates of the next iteration."""
        done: dict[Role, int] = {"d": 0, "g": 0}
        for role in self.schedule:
            # What G's recording reuses must be in the memory written by D's of the same iteration.
            together: Sequence[Role] = ("d", "g") if self.game.reuse_fakes else (role,)
            due = [f"{each}/{name}" for each in together for name in self.game.players[each].due(done[role])]
            yield role, tuple(due)
            done[role] += 1

    def _rehearse(self, keys: Sequence[Key], turns: Turns) -> None:
        """One iteration both ways, from the same state. The eager one is kept unless they agree."""
        before = Moment(self.game)
        self.game.play(turns)
        plain = Moment(self.game)
        before.restore()
        try:
            for key, (_, batch) in zip(keys, turns(), strict=True):
                self._replay(key, batch)
            off = Moment(self.game).far_from(plain, before)
            reason = None if off <= NEAR else f"a replay differs from the eager update by {off:.1%} of a step"
        # Whatever a component does that cannot be captured, in the device's own words.
        except Exception as error:
            reason = one_line(error.__cause__ or error)
        if reason is not None:
            plain.restore()
            self._give_up(reason)
            return
        for key in set(keys):
            self._checked[key] = self._checked.get(key, 0) + 1

    def _give_up(self, reason: str) -> None:
        self._given_up = True
        self._updates, self._place, self._shown = {}, None, None
        # Without graphs, updates are bound by Python.
        self.game.critic.fast_double_backward = prefers_own_double_backward(
            self.game.runtime.device, replays=False
        )
        self.say(f"cuda graphs: not used ({reason}); updates are launched operation by operation")

    def _replay(self, key: Key, batch: Batch) -> None:
        me = self.game.players[key[0]]
        shown = self._show(batch)
        if key not in self._updates:
            self._updates[key] = self._record(me, shown)
            self.recorded += 1
        self.game.seed_update(me)
        self._updates[key].recording.replay()
        self.replayed += 1
        # What an eager update counts in Python.
        me.updates += 1
        self.game.means.count(self._updates[key].names)
        if self.game.measures.first_bad is not None:
            for noted in self._updates[key].noted:
                self.game.measures.first_bad.note(*noted)
            self.game.measures.first_bad.tick()

    def _record(self, me: Player, batch: Batch) -> Update:
        """Leaves no traces in Python either."""
        game, updates, counts = self.game, me.updates, dict(self.game.means.counts)
        watched = game.measures.first_bad
        recording = self.blank()
        # During capture, a generator may only be seeded to its current state.
        game.seed_update(me)
        notes = _Notes()
        try:
            game.measures.first_bad = None if watched is None else notes
            recording.record(lambda: game.update(me.role, batch))
        finally:
            game.measures.first_bad = watched
        after = game.means.counts
        names = tuple(name for name in after for _ in range(after[name] - counts.get(name, 0)))
        me.updates = updates
        game.means.recount(counts)
        return Update(recording, names, tuple(notes.kept))

    def _show(self, batch: Batch) -> Batch:
        """The batch, in the recordings' input memory."""
        if self._place is None:
            self._place = Batch(batch.real.clone(), mapped(torch.clone, batch.cond))
        # Not overwritten for the generator, whose update may reuse a graph that has read it.
        if batch is not self._shown:
            self._shown = batch
            self._place.real.copy_(batch.real)
            for place, cond in zip(leaves(self._place.cond), leaves(batch.cond), strict=True):
                place.copy_(cond)
        return self._place


def prefers_own_double_backward(device: torch.device, replays: bool) -> bool:
    """Whether penalties use the engine's double backward: on a CPU, and on a GPU with graph replay (1.7
    times as fast there as torch's own). Without replay their Python overhead costs a GPU more than they
    save, but deterministic runs use them anyway, since results with and without graphs must be equal."""
    return device.type == "cpu" or replays or torch.are_deterministic_algorithms_enabled()


class _Notes(FirstBad):
    """Keeps the very tensors that an update logs while it is recorded: replays write to them."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Added] = []

    def note(self, names: tuple[str, ...], values: Tensor) -> None:
        self.kept.append(Added(names, values))
