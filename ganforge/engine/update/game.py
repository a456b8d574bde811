"""The update: one optimizer step of one player against its frozen rival.

Every method of the literature is this one function. What differs between them (task, loss, terms,
networks, prior, callbacks) are components; no line here asks which method is running.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ganforge.api import Comparison, Draw, Play, Role, Stream, taken
from ganforge.components.faults import blame
from ganforge.components.results import check_compared, check_objective, check_replaced, draw_of
from ganforge.components.team import Team
from ganforge.config import Train
from ganforge.engine.data.batches import Batch
from ganforge.engine.data.micro_batches import micro_batches
from ganforge.engine.distributed.runtime import Runtime
from ganforge.engine.instruments.frozen_buffers import kept_buffers
from ganforge.engine.random import stream_seed
from ganforge.engine.update.critic import Critic
from ganforge.engine.update.layer_streams import LayerStreams
from ganforge.engine.update.live import Live
from ganforge.engine.update.measures import Measures
from ganforge.engine.update.player import Player
from ganforge.engine.update.precision import comparison_at_least_float32, detached
from ganforge.engine.update.schedule import Turns


class Made(NamedTuple):
    """Latents, and what the task compares of them with the data."""

    draw: Draw
    comparisons: Mapping[str, Comparison]


class Game:
    """Two players, what is compared between them, and the update of either."""

    def __init__(
        self,
        players: Mapping[Role, Player],
        live: Live,
        heads: Mapping[str, int],
        runtime: Runtime,
        train: Train,
        watched: bool,
    ) -> None:
        """`heads`: name -> width of what the terms want from the discriminator; `watched`: the run's health
        is monitored."""
        self.players = players
        self.live = live
        self.runtime = runtime
        self.seed = train.seed
        self.accumulate = train.accumulate
        self.clip_grad_norm = train.clip_grad_norm
        self.reuse_fakes = train.fakes == "reused"
        """The generator learns from the fakes that the discriminator has just seen, not from others."""
        self.rng = Stream.of(runtime.device, runtime.rank, runtime.world)
        self.layers = LayerStreams([player.network for player in players.values()], runtime, train.seed)
        self.critic = Critic(players["d"], live, heads, runtime, self.rng)
        self.measures = Measures(live, runtime.device, watched)
        self.kept: list[Made] = []
        """What the discriminator's update has made and the generator's reuses, by micro-batch."""

    @property
    def means(self) -> Any:
        """The running means of what is logged."""
        return self.measures.means

    def play(self, turns: Turns, measure: bool = False) -> None:
        """An iteration: its updates, one after the other."""
        for role, batch in turns():
            self.update(role, batch, measure)

    def update(self, role: Role, batch: Batch, measure: bool = False) -> None:
        """One optimizer step of `role` on this process's share of a batch.

        With `measure`, also logs what costs extra: the gradient norm, how well the discriminator separates
        real from fake, and after the generator's step how the same latents are judged now.
        """
        me = self._begin(role)
        plays: list[Play] = []
        for part in micro_batches(batch, self.accumulate):
            plays = self._plays(role, part)  # x [n, *shape] and G(z), each under its condition
            objective = self._objective(me, plays)  # the loss and each term, of D(x) and D(G(z))
            # To divide by 1 would be two more kernels.
            share = objective if self.accumulate == 1 else objective / self.accumulate
            torch.autograd.backward(me.scaler.scale(share))
            self._after(plays)
        self._step(me, measure)
        if measure and role == "g":
            self._measure_again(part, plays)
        elif measure:
            self.measures.separation(plays)
        self.measures.updated()

    def _begin(self, role: Role) -> Player:
        """The player whose update this is, with its rival frozen, its streams seeded, and no gradient."""
        me, rival = self.players[role], self.players["g" if role == "d" else "d"]
        me.learn(True)
        rival.learn(role == "d" and self.reuse_fakes)
        self.seed_update(me)
        me.forget_gradients()
        return me

    def _objective(self, me: Player, plays: Sequence[Play]) -> Tensor:
        """The loss plus the terms of this update: always one sum, one backward."""
        objective = self._part(me.role, "adversarial", self.live.loss, plays)
        parts = {"adversarial": objective}
        self.measures.verdicts(me.role, plays)
        for name, term in me.due().items():
            parts[name] = value = self._part(me.role, name, term, plays)
            self.measures.term(term, plays)
            # Applied once in `every` updates, so scaled up to keep its strength on average.
            strength = term.weight * term.every
            plain = not isinstance(strength, Tensor) and strength == 1
            objective = objective + (value if plain else strength * value)
        self.measures.objective(me.role, parts, objective)
        return objective

    def _part(self, role: Role, name: str, part: Any, plays: Sequence[Play]) -> Tensor:
        """The loss, or a term, over all that is compared: a scalar."""
        doing = f"{role}_loss" if name == "adversarial" else "its call"
        values = []
        for play in plays:
            each = self.live.of(part, play)
            with blame(each, doing):
                value = each(play)
                check_objective(value, each, doing, role)
            play.parts[name] = value
            values.append(value)
        return values[0] if len(values) == 1 else torch.stack(values).sum()

    def _plays(self, role: Role, batch: Batch) -> list[Play]:
        """What the player sees, by comparison; only in the generator's own update have the fakes a graph."""
        if role == "g" and self.reuse_fakes:
            made = self.kept.pop(0)
        else:
            made = self._make(batch, attached=role == "g" or self.reuse_fakes)
        if role == "d" and self.reuse_fakes:
            self.kept.append(made)
        plays = []
        for name, comparison in made.comparisons.items():
            # Made for both players, it has the generator's graph.
            shared = role == "d" and self.reuse_fakes
            play = self._play(role, name, detached(comparison) if shared else comparison, made.draw)
            for callback in self.live.before:
                with blame(callback, "before"):
                    callback.before(play)
                    check_replaced(play, callback, comparison.fake)
            plays.append(play)
        return plays

    def _play(self, role: Role, name: str, comparison: Comparison, draw: Draw) -> Play:
        member = comparison.critic
        return Play(
            role=role,
            real=comparison.real,
            cond=comparison.cond,
            fake=comparison.fake,
            draw=draw,
            critic=partial(self.critic.judge, member),
            exact_critic=partial(self.critic.exactly, role, member),
            rng=self.rng,
            mean=self.runtime.mean,
            name=name,
            fake_cond=comparison.fake_cond,
            extra=comparison.extra,
            generator=self.players["g"].network,
            discriminator=self.players["d"].network,
        )

    def _make(self, batch: Batch, attached: bool) -> Made:
        """Latents and what is made of them, with or without a graph."""
        draw = self._draw(batch)
        with torch.set_grad_enabled(attached):
            return Made(draw, self._compare(batch, draw, attached))

    def _compare(self, batch: Batch, draw: Draw, attached: bool) -> dict[str, Comparison]:
        generator = Team(self.players["g"].network, self.live.nets, self.players["g"].run)
        task = self.live.task
        with blame(task, "compare"), self.runtime.autocast():
            found = task.compare(generator, batch.real, batch.cond, draw)
        check_compared(found, task, self.live.nets, attached)
        # Without autocast there is nothing to widen, as a rule.
        if self.runtime.precision == "no" and all(
            each.fake.dtype == each.real.dtype for each in found.values()
        ):
            return dict(found)
        return {name: comparison_at_least_float32(each) for name, each in found.items()}

    def _draw(self, batch: Batch) -> Draw:
        """Latents for this process's samples: drawn for those of all processes, so that a sample
        gets the same however many share the batch."""
        n, rank, world = len(batch.real), self.runtime.rank, self.runtime.world
        if world == 1:
            return draw_of(self.live.prior, n, batch.cond, self.rng)
        z, cond, codes = draw_of(self.live.prior, n * world, batch.conds, self.rng.shared)
        mine = slice(rank * n, (rank + 1) * n)
        return Draw(z[mine], taken(cond, mine), taken(codes, mine))

    def _after(self, plays: Sequence[Play]) -> None:
        """When the gradients of a micro-batch are there."""
        for callback in self.live.after:
            with blame(callback, "after"), torch.no_grad():
                for play in plays:
                    callback.after(play)
        self.measures.callbacks(plays)
        self.measures.flush()

    def _step(self, me: Player, measure: bool) -> None:
        # Reduced before unscaling, so that an overflow in one process is seen by all of them.
        self.runtime.average_gradients(me.parameters)
        if self.clip_grad_norm or measure:
            me.scaler.unscale_(me.optimizer)
            norm = nn.utils.get_total_norm([p.grad for p in me.parameters if p.grad is not None])
            self.measures.gradient_norm(me.role, norm)
            if self.clip_grad_norm:
                nn.utils.clip_grads_with_norm_(me.parameters, self.clip_grad_norm, norm)
        me.scaler.step(me.optimizer)
        me.scaler.update()
        if measure:
            self.measures.stepped(me.role, me.network)
        me.updates += 1
        with torch.no_grad():
            for callback in self.live.callbacks:
                with blame(callback, "after_update"):
                    callback.after_update(me.role, me.network)
        self.live.check()

    @torch.no_grad()
    def _measure_again(self, batch: Batch, before: Sequence[Play]) -> None:
        """The same latents after the generator's step. Layers that draw for themselves draw again what
        they drew when these fakes were made, as long as there is one micro-batch."""
        maker = self.players["d" if self.reuse_fakes else "g"]
        self.layers.restart(maker.role, maker.updates - 1)
        with kept_buffers([player.network for player in self.players.values()]):
            after = self._compare(batch, before[0].draw, attached=False)
            logits = [
                self.critic.judge(each.critic, each.fake, each.fake_cond).logits for each in after.values()
            ]
        self.measures.again(before, [each.fake for each in after.values()], logits)

    def seed_update(self, me: Player) -> None:
        """Puts the streams of this update at their start: ours, and torch's for layers such as dropout."""
        self.rng.shared.manual_seed(stream_seed(self.seed, "update", me.role, me.updates, 0))
        if self.runtime.world > 1:
            self.rng.manual_seed(stream_seed(self.seed, "process", me.role, me.updates, self.runtime.rank))
        self.layers.restart(me.role, me.updates)
