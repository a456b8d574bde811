"""The update: one optimiser step of one player against its frozen rival.

Every method of the literature is this one function. What differs between them (loss, terms,
networks, prior, callbacks) are components; no line here asks which method is running.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ganforge.api import Architecture, Callback, Draw, Loss, Play, Prior, Role, Stream, Term, Verdict
from ganforge.components.faults import blame
from ganforge.components.results import (
    check_augmented,
    check_estimates,
    check_fake,
    check_objective,
    check_scalar,
    check_verdict,
    draw_of,
)
from ganforge.engine.data.batches import Batch
from ganforge.engine.data.micro_batches import micro_batches
from ganforge.engine.distributed.runtime import Runtime
from ganforge.engine.instruments.frozen_buffers import kept_buffers
from ganforge.engine.instruments.health_signals import FirstBad, jump, separation, weight_norm
from ganforge.engine.instruments.running_means import Tally
from ganforge.engine.kernels.double_backward import TwiceDifferentiable
from ganforge.engine.random import seed_layers, stream_seed
from ganforge.engine.update.player import Player
from ganforge.engine.update.precision import at_least_float32, verdict_at_least_float32
from ganforge.engine.update.schedule import Turns


class Made(NamedTuple):
    """Fakes, and what they were made from."""

    draw: Draw
    fake: Tensor
    """Like the real samples, at least float32."""


class Game:
    """Two players, the loss between them, and the update of either."""

    def __init__(
        self,
        discriminator: Player,
        generator: Player,
        loss: Loss,
        prior: Prior,
        nets: Architecture,
        heads: Mapping[str, int],
        runtime: Runtime,
        seed: int,
        callbacks: Sequence[Callback] = (),
        accumulate: int = 1,
        clip_grad_norm: float = 0.0,
        first_bad: FirstBad | None = None,
        reuse_fakes: bool = False,
    ) -> None:
        """`first_bad`: given where the run's health is watched; `reuse_fakes`: the generator learns
        from the fakes that the discriminator has just seen, instead of making others."""
        self.players: dict[Role, Player] = {"d": discriminator, "g": generator}
        self.loss = loss
        self.prior = prior
        self.nets = nets
        self.heads = heads
        """Head name -> width: what the terms want from the discriminator."""
        self.runtime = runtime
        self.seed = seed
        self.callbacks = callbacks
        self.accumulate = accumulate
        self.clip_grad_norm = clip_grad_norm
        self.first_bad = first_bad
        self.reuse_fakes = reuse_fakes
        self.fast_double_backward = True
        """Penalties are differentiated without torch's detours: more work for Python, less for the device."""
        self.tally = Tally(runtime.device)
        self.rng = Stream.of(runtime.device, runtime.rank, runtime.world)
        self.kept: list[Made] = []
        """The fakes of the discriminator's update that the generator's reuses, by micro-batch."""

    def play(self, turns: Turns, measure: bool = False) -> None:
        """An iteration: its updates, one after the other."""
        for role, batch in turns():
            self.update(role, batch, measure)

    def update(self, role: Role, batch: Batch, measure: bool = False) -> None:
        """One optimiser step of `role` on this process's share of a batch.

        With `measure`, also logs what costs extra: the gradient norm, and after the generator's
        step a second look at its fakes.
        """
        me, rival = self.players[role], self.players["g" if role == "d" else "d"]
        me.learn(True)
        rival.learn(role == "d" and self.reuse_fakes)
        self.seed_update(me)
        me.forget_gradients()
        play = None
        for part in micro_batches(batch, self.accumulate):
            play = self._play(role, part)
            objective = self._objective(me, play)
            # To divide by 1 would be two more kernels.
            share = objective if self.accumulate == 1 else objective / self.accumulate
            torch.autograd.backward(me.scaler.scale(share))
            self._settle()
        self._step(me, measure)
        if role == "g" and measure and play is not None:
            self._look_again(play)
        if self.first_bad is not None:
            if role == "d" and measure and play is not None:
                shown = separation(play.real_verdict.logits.detach(), play.fake_verdict.logits.detach())
                self.tally.add("health/separation", shown)
            self.first_bad.tick()
        self._settle()

    def _settle(self) -> None:
        """Hands what was logged to whoever counts it."""
        added = self.tally.settle()
        if added is not None and self.first_bad is not None:
            self.first_bad.note(*added)

    def _play(self, role: Role, batch: Batch) -> Play:
        """What the player sees; only in the generator's own update have the fakes a graph."""
        reused = role == "g" and self.reuse_fakes
        made = self.kept.pop(0) if reused else self._make(batch, attached=role == "g" or self.reuse_fakes)
        if role == "d" and self.reuse_fakes:
            self.kept.append(made)
        return Play(
            role=role,
            real=batch.real,
            cond=batch.cond,
            fake=made.fake if role == "g" else made.fake.detach(),
            draw=made.draw,
            critic=self._critic,
            exact_critic=partial(self._exact_critic, role),
            rng=self.rng,
            mean=self.runtime.mean,
        )

    def _make(self, batch: Batch, attached: bool) -> Made:
        """Latents and the fakes from them, with or without a graph."""
        draw = self._draw(batch)
        with (
            blame(self.nets, "the generator's forward pass"),
            torch.set_grad_enabled(attached),
            self.runtime.autocast(),
        ):
            fake: Tensor = self.players["g"].forward(draw.z, draw.cond)
        check_fake(fake, self.nets, batch.real, attached)
        return Made(draw, at_least_float32(fake))

    def _draw(self, batch: Batch) -> Draw:
        """Latents for this process's samples: drawn for those of all processes, so that a sample
        gets the same however many share the batch."""
        n, rank, world = len(batch.real), self.runtime.rank, self.runtime.world
        if world == 1:
            return draw_of(self.prior, n, batch.cond, self.rng)
        z, cond, codes = draw_of(self.prior, n * world, batch.conds, self.rng.shared)
        mine = slice(rank * n, (rank + 1) * n)
        return Draw(
            z[mine], None if cond is None else cond[mine], {name: code[mine] for name, code in codes.items()}
        )

    def _objective(self, me: Player, play: Play) -> Tensor:
        """The adversarial loss plus the terms that are due: always one sum, one backward."""
        adversarial = self._adversarial(me.role, play)
        parts = {f"adversarial/{me.role}": adversarial}
        objective = adversarial
        for name, term in me.due().items():
            value = self._term(term, play)
            parts[f"term/{me.role}/{name}"] = value
            # Applied once in `every` updates, so scaled up to keep its strength on average.
            strength = term.weight * term.every
            objective = objective + (value if strength == 1 else strength * value)
        for name, value in {**parts, f"loss/{me.role}": objective}.items():
            self.tally.add(name, value)
        return objective

    def _adversarial(self, role: Role, play: Play) -> Tensor:
        """The loss of either player, and what it tells besides."""
        if role == "g":
            fake = play.fake_verdict.logits
            real = play.real_verdict.logits if self.loss.paired else None
            with blame(self.loss, "g_loss"):
                value = self.loss.g_loss(fake, real)
                check_objective(value, self.loss, "g_loss", role)
            self._add_score("fake_before_g", fake)
            return value
        real, fake = play.real_verdict.logits, play.fake_verdict.logits
        with blame(self.loss, "d_loss"):
            value = self.loss.d_loss(real, fake)
            check_objective(value, self.loss, "d_loss", role)
        self._add_score("real", real)
        self._add_score("fake", fake)
        with blame(self.loss, "estimates"):
            estimates = self.loss.estimates(real.detach(), fake.detach())
            check_estimates(estimates, self.loss)
        for name, estimate in estimates.items():
            self.tally.add(f"estimate/{name}", estimate)
        return value

    def _term(self, term: Term, play: Play) -> Tensor:
        """A term's value, unweighted, and what it tells besides."""
        with blame(term, "its call"):
            value = term(play)
            check_objective(value, term, "its call", play.role)
        with blame(term, "estimates"), torch.no_grad():
            estimates = term.estimates(play)
            check_estimates(estimates, term)
        for name, estimate in estimates.items():
            self.tally.add(f"estimate/{name}", estimate)
        return value

    def _add_score(self, name: str, logits: Tensor) -> Tensor:
        with blame(self.loss, "score"):
            score = self.loss.score(logits).mean()
            check_scalar(score, self.loss, "score")
        self.tally.add(f"score/{name}", score)
        return score

    def _step(self, me: Player, measure: bool) -> None:
        # Reduced before unscaling, so that an overflow in one process is seen by all of them.
        self.runtime.average_gradients(me.parameters)
        if self.clip_grad_norm or measure:
            me.scaler.unscale_(me.optimizer)
            norm = nn.utils.get_total_norm([p.grad for p in me.parameters if p.grad is not None])
            self.tally.add(f"grad/{me.role}", norm)
            if self.clip_grad_norm:
                nn.utils.clip_grads_with_norm_(me.parameters, self.clip_grad_norm, norm)
        me.scaler.step(me.optimizer)
        me.scaler.update()
        if measure and self.first_bad is not None:
            self.tally.add(f"health/weights_{me.role}", weight_norm(me.network))
        me.updates += 1
        with torch.no_grad():
            for callback in self.callbacks:
                with blame(callback, "after_update"):
                    callback.after_update(me.role, me.network)

    @torch.no_grad()
    def _look_again(self, play: Play) -> None:
        """The same latents after the generator's step. Layers that draw for themselves draw again what
        they drew when these fakes were made, as long as there is one micro-batch."""
        maker = self.players["d" if self.reuse_fakes else "g"]
        self._seed_layers(maker.role, maker.updates - 1)
        with kept_buffers([player.network for player in self.players.values()]), self.runtime.autocast():
            fake = self.players["g"].forward(play.draw.z, play.draw.cond)
            logits = self._critic(at_least_float32(fake), play.draw.cond).logits
        after = self._add_score("fake_after_g", logits)
        if self.first_bad is not None:
            self.tally.add("health/g_gain", after - self.loss.score(play.fake_verdict.logits).mean())
            if len(play.real) > 1:
                self.tally.add("health/g_jump", jump(play.fake.detach(), fake, play.real))

    def _critic(self, x: Tensor, cond: Tensor | None) -> Verdict:
        with self.runtime.autocast():
            verdict = self._verdict(self.players["d"].forward, self._augmented(x), cond)
        return verdict_at_least_float32(verdict)

    def _exact_critic(self, role: Role, x: Tensor, cond: Tensor | None) -> Verdict:
        # Of a frozen critic even a slope that is the same everywhere stays on the graph, as torch has it.
        twice = TwiceDifferentiable() if role == "d" and self.fast_double_backward else nullcontext()
        with self.runtime.full_precision(), twice:
            # Not the compiled form, which cannot be differentiated twice.
            return self._verdict(self.players["d"].network, self._augmented(at_least_float32(x)), cond)

    def _verdict(self, network: Callable[..., Verdict], x: Tensor, cond: Tensor | None) -> Verdict:
        with blame(self.nets, "the discriminator's forward pass"):
            verdict = network(x, cond)
        check_verdict(verdict, self.nets, self.heads, len(x))
        return verdict

    def _augmented(self, x: Tensor) -> Tensor:
        for callback in self.callbacks:
            with blame(callback, "augment"):
                shown = callback.augment(x, self.rng)
                check_augmented(shown, callback, x)
            x = shown
        return x

    def seed_update(self, me: Player) -> None:
        """Puts the streams of this update at their start: ours, and torch's for layers such as dropout."""
        self.rng.shared.manual_seed(stream_seed(self.seed, "update", me.role, me.updates, 0))
        if self.runtime.world > 1:
            self.rng.manual_seed(stream_seed(self.seed, "process", me.role, me.updates, self.runtime.rank))
        self._seed_layers(me.role, me.updates)

    def _seed_layers(self, role: Role, update: int) -> None:
        seed_layers(stream_seed(self.seed, "layers", role, update, self.runtime.rank), self.runtime.device)
