"""Components that remember something, in a few lines each."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from ganforge.api import Callback, Loss, Play, Scheduled, Term, memory, per_sample


class Anchored(Term):
    """Pulls real logits to a running mean of their own."""

    type: Literal["anchored"] = "anchored"
    _mean: Tensor = memory(0.0)

    def __call__(self, play: Play) -> Tensor:
        logits = per_sample(play.real_verdict.logits)
        self._mean.lerp_(play.mean(logits.detach().mean()), 0.1)
        return (logits - self._mean.clone()).square().mean()


class Equilibrium(Loss):
    """A loss with a factor that it keeps, as BEGAN's."""

    type: Literal["equilibrium"] = "equilibrium"
    _k: Tensor = memory(0.5)

    def __call__(self, play: Play) -> Tensor:
        if play.role == "g":
            return -play.fake_verdict.logits.mean()
        real, fake = play.real_verdict.logits.mean(), play.fake_verdict.logits.mean()
        value: Tensor = self._k.clone() * fake - real
        self._k.add_(play.mean((real - fake).detach()), alpha=0.01)
        return value

    def d_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        raise NotImplementedError

    def g_loss(self, fake: Tensor, real: Tensor | None) -> Tensor:
        raise NotImplementedError


class Noise(Callback):
    """More noise on what the critic sees, the surer it is."""

    type: Literal["noise"] = "noise"
    rate: Scheduled = 0.1
    _p: Tensor = memory(0.0)

    def augment(self, x: Tensor, rng: torch.Generator) -> Tensor:
        return x + self._p * torch.randn(x.shape, generator=rng, device=x.device)

    def after(self, play: Play) -> None:
        if play.role == "d":
            self._p.add_(play.real_verdict.logits.sign().mean() * self.rate).clamp_(0, 1)


class Last(Callback):
    """The last fake of each process."""

    type: Literal["last"] = "last"
    _fake: Tensor = memory(0.0, each=True)

    def after(self, play: Play) -> None:
        self._fake.copy_(play.fake.flatten()[0].detach())


class Local(Anchored):
    """Remembers what its own process sees, and does not say so."""

    type: Literal["local"] = "local"  # type: ignore[assignment]

    def __call__(self, play: Play) -> Tensor:
        self._mean.copy_(play.real.mean())
        return super().__call__(play)
