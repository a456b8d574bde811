"""The update: one optimiser step of one player against its frozen rival.

Every method of the literature is this one function. What differs between them (loss, terms,
networks, prior, callbacks) are components; no line here asks which method is running.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from ganforge.api import Callback, Loss, Play, Prior, Role, UserError, Verdict
from ganforge.engine.batches import Batch
from ganforge.engine.buffers import kept_buffers
from ganforge.engine.player import Player
from ganforge.engine.runtime import Runtime
from ganforge.engine.streams import stream_seed
from ganforge.engine.tally import Tally


class Game:
    """Two players, the loss between them, and the update of either."""

    def __init__(
        self,
        discriminator: Player,
        generator: Player,
        loss: Loss,
        prior: Prior,
        runtime: Runtime,
        seed: int,
        callbacks: Sequence[Callback] = (),
        accumulate: int = 1,
        clip_grad_norm: float = 0.0,
    ) -> None:
        self.players: dict[Role, Player] = {"d": discriminator, "g": generator}
        self.loss = loss
        self.prior = prior
        self.runtime = runtime
        self.seed = seed
        self.callbacks = callbacks
        self.accumulate = accumulate
        self.clip_grad_norm = clip_grad_norm
        self.tally = Tally()
        self._rng = torch.Generator(runtime.device)

    def update(self, role: Role, batch: Batch, measure: bool = False) -> None:
        """One optimiser step of `role` on this process's share of a batch.

        With `measure`, also logs what costs extra: the gradient norm, and after the generator's
        step a second look at its fakes.
        """
        me, rival = self.players[role], self.players["g" if role == "d" else "d"]
        me.network.requires_grad_(True)
        rival.network.requires_grad_(False)
        self._seed(me)
        me.optimizer.zero_grad(set_to_none=True)
        play = None
        for part in _micro_batches(batch, self.accumulate):
            play = self._play(role, part)
            objective = self._objective(me, play)
            torch.autograd.backward(me.scaler.scale(objective / self.accumulate))
        self._step(me, measure)
        if role == "g" and measure and play is not None:
            self._look_again(play)

    def _play(self, role: Role, batch: Batch) -> Play:
        """Draws latents and makes the fakes; only the generator's own update keeps their graph."""
        draw = self.prior.sample(len(batch.real), batch.cond, self._rng)
        with torch.set_grad_enabled(role == "g"), self.runtime.autocast():
            fake: Tensor = self.players["g"].network(draw.z, draw.cond)
        return Play(
            role=role,
            real=batch.real,
            cond=batch.cond,
            fake=fake.float(),
            draw=draw,
            critic=self._critic,
            exact_critic=self._exact_critic,
            rng=self._rng,
        )

    def _objective(self, me: Player, play: Play) -> Tensor:
        """The adversarial loss plus the terms that are due: always one sum, one backward."""
        if me.role == "d":
            real, fake = play.real_verdict.logits, play.fake_verdict.logits
            adversarial = self.loss.d_loss(real, fake)
            self.tally.add("score/real", self.loss.score(real).mean())
            self.tally.add("score/fake", self.loss.score(fake).mean())
            for name, value in self.loss.estimates(real.detach(), fake.detach()).items():
                self.tally.add(f"estimate/{name}", value)
        else:
            fake = play.fake_verdict.logits
            adversarial = self.loss.g_loss(fake, play.real_verdict.logits if self.loss.paired else None)
            self.tally.add("score/fake_before_g", self.loss.score(fake).mean())
        _check_scalar(adversarial, self.loss.type)
        objective = adversarial
        for name, term in me.due().items():
            value = term(play)
            _check_scalar(value, name)
            self.tally.add(f"term/{me.role}/{name}", value)
            with torch.no_grad():
                for told, estimate in term.estimates(play).items():
                    self.tally.add(f"estimate/{told}", estimate)
            # Applied once in `every` updates, so scaled up to keep its strength on average.
            objective = objective + (term.weight * term.every) * value
        self.tally.add(f"adversarial/{me.role}", adversarial)
        self.tally.add(f"loss/{me.role}", objective)
        return objective

    def _step(self, me: Player, measure: bool) -> None:
        parameters = list(me.network.parameters())
        # Reduced before unscaling, so that an overflow in one process is seen by all of them.
        self.runtime.average_gradients(parameters)
        if self.clip_grad_norm or measure:
            me.scaler.unscale_(me.optimizer)
            norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
            self.tally.add(f"grad/{me.role}", norm)
            if self.clip_grad_norm:
                nn.utils.clip_grads_with_norm_(parameters, self.clip_grad_norm, norm)
        me.scaler.step(me.optimizer)
        me.scaler.update()
        me.updates += 1
        with torch.no_grad():
            for callback in self.callbacks:
                callback.after_update(me.role, me.network)

    @torch.no_grad()
    def _look_again(self, play: Play) -> None:
        """D(G(z)) on the same latents after the generator's step."""
        networks = [player.network for player in self.players.values()]
        with kept_buffers(networks), self.runtime.autocast():
            fake = self.players["g"].network(play.draw.z, play.draw.cond)
            logits = self._critic(fake.float(), play.draw.cond).logits
        self.tally.add("score/fake_after_g", self.loss.score(logits).mean())

    def _critic(self, x: Tensor, cond: Tensor | None) -> Verdict:
        with self.runtime.autocast():
            verdict: Verdict = self.players["d"].network(self._augmented(x), cond)
        return Verdict(
            verdict.logits.float(),
            {name: head.float() for name, head in verdict.heads.items()},
            None if verdict.features is None else verdict.features.float(),
        )

    def _exact_critic(self, x: Tensor, cond: Tensor | None) -> Verdict:
        with self.runtime.full_precision():
            verdict: Verdict = self.players["d"].network(self._augmented(x.float()), cond)
        return verdict

    def _augmented(self, x: Tensor) -> Tensor:
        for callback in self.callbacks:
            x = callback.augment(x, self._rng)
        return x

    def _seed(self, me: Player) -> None:
        """Puts both streams of this update at their start: ours, and torch's global one for
        layers that draw for themselves, such as dropout."""
        place = (me.role, me.updates, self.runtime.rank)
        self._rng.manual_seed(stream_seed(self.seed, "update", *place))
        torch.manual_seed(stream_seed(self.seed, "layers", *place))


def _micro_batches(batch: Batch, parts: int) -> Iterator[Batch]:
    if parts == 1:
        yield batch
        return
    conds = [None] * parts if batch.cond is None else batch.cond.chunk(parts)
    for real, cond in zip(batch.real.chunk(parts), conds, strict=True):
        yield Batch(real, cond)


def _check_scalar(value: Tensor, name: str) -> None:
    """A plugin's result must be a scalar: (N, 1) minus (N,) would silently become (N, N)."""
    if value.ndim != 0:
        raise UserError(f"'{name}' must give a scalar; it gave a tensor of shape {tuple(value.shape)}")
