"""A component that keeps every rule, and for each rule one that breaks it."""

from __future__ import annotations

import random
import socket
from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np
import torch
from pydantic import ConfigDict, field_validator
from torch import Tensor, nn

from ganforge.api import (
    Architecture,
    Callback,
    Context,
    DataSpec,
    Draw,
    Field,
    Loss,
    Metric,
    Networks,
    Play,
    Prior,
    Sampler,
    Samples,
    Shapes,
    Split,
    Term,
    Tracker,
    Verdict,
)
from ganforge.testing.squares import Squares


class Kept(Loss):
    """Keeps every rule."""

    type: Literal["mine"] = "mine"

    def d_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return nn.functional.softplus(-real).mean() + nn.functional.softplus(fake).mean()

    def g_loss(self, fake: Tensor, real: Tensor | None) -> Tensor:
        return nn.functional.softplus(-fake).mean()


class Needy(Kept):
    scale: float = Field(description="Required.")


class Silent(Kept):
    scale: float = 1.0


class Mutable(Kept):
    model_config = ConfigDict(frozen=False)


class Rounded(Kept):
    scale: float = Field(0.3, description="Changed by each validation.")

    @field_validator("scale")
    @classmethod
    def _more(cls, scale: float) -> float:
        return scale + 1


class Chance(Kept):
    def g_loss(self, fake: Tensor, real: Tensor | None) -> Tensor:
        return super().g_loss(fake, real) * (1 + random.random())


class Wide(Kept):
    def d_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return real - fake


class Read(Kept):
    def d_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        value = super().d_loss(real, fake)
        return value * 2 if value.item() > 100 else value


class Overflowing(Kept):
    def d_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return (fake.exp() / real.exp()).mean()


class Centered(Kept):
    def d_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return super().d_loss(real, fake) + (real - fake.mean()).square().mean()


class Gathered(Kept):
    """Around the center of all processes, whose gradient is that of its own share, as after an all-gather."""

    def __call__(self, play: Play) -> Tensor:
        fake = play.fake_verdict.logits
        center = fake.mean() + (play.mean(fake.mean()) - fake.mean()).detach()
        return (fake - center).square().mean() + super().__call__(play)


class OnCpu(Kept):
    def d_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return (torch.ones(len(real)) * (fake - real)).mean()


class Counting(Term):
    """Counts its calls where no checkpoint sees it."""

    type: Literal["mine"] = "mine"
    _calls: int = 0

    def __call__(self, play: Play) -> Tensor:
        self._calls += 1
        return play.fake_verdict.logits.mean() * self._calls


class Fetching(Callback):
    """Asks a server when it is prepared."""

    type: Literal["mine"] = "mine"

    def prepare(self, spec: DataSpec, shapes: Shapes) -> None:
        with socket.socket() as connection:
            connection.settimeout(0.01)
            # A port of this machine on which nothing listens.
            connection.connect_ex(("127.0.0.1", 9))


class Peeking(Squares):
    """Opens a file to know its shape."""

    type: Literal["mine"] = "mine"  # type: ignore[assignment]

    def spec(self) -> DataSpec:
        with open("/dev/null", "rb"):
            return super().spec()


class Shuffled(Squares):
    """In another order at each start."""

    type: Literal["mine"] = "mine"  # type: ignore[assignment]

    def build(self, split: Split, context: Context) -> Samples:
        found = super().build(split, context)
        order = torch.randperm(len(found))
        assert found.labels is not None
        return Samples(found.images[order], found.labels[order])


class Global(Prior):
    """Draws from torch's global generator."""

    type: Literal["mine"] = "mine"

    def z_dim(self) -> int:
        return 4

    def sample(self, n: int, cond: Tensor | None, generator: torch.Generator) -> Draw:
        return Draw(torch.randn(n, 4), cond, {})


class Drifting(Metric):
    """Another value each time."""

    type: Literal["mine"] = "mine"

    def compute(self, sampler: Sampler, samples: Samples) -> dict[str, float]:
        return {"drift": float(torch.rand(()))}


class Headless(Architecture):
    """Ignores the heads that terms ask for."""

    type: Literal["mine"] = "mine"

    def build(self, spec: DataSpec, z_dim: int, heads: Mapping[str, int]) -> Networks:
        class G(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.layer = nn.Linear(z_dim, int(np.prod(spec.shape)))

            def forward(self, z: Tensor, cond: Tensor | None) -> Tensor:
                return self.layer(z).tanh().view(-1, *spec.shape)

        class D(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.layer = nn.Linear(int(np.prod(spec.shape)), 1)

            def forward(self, x: Tensor, cond: Tensor | None) -> Verdict:
                return Verdict(self.layer(x.flatten(1)).squeeze(1))

        return Networks(G(), D())


class Strict(Headless):
    """Its discriminator puts rows in a tensor of float32, which takes no others."""

    def build(self, spec: DataSpec, z_dim: int, heads: Mapping[str, int]) -> Networks:
        networks = super().build(spec, z_dim, heads)

        class Copying(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.inner = networks.discriminator

            def forward(self, x: Tensor, cond: Tensor | None) -> Verdict:
                logits = self.inner(x, cond).logits
                return Verdict(torch.zeros(len(x)).scatter(0, torch.arange(len(x)), logits))

        return Networks(networks.generator, Copying())


class Sinkless(Tracker):
    """Its sink is not there."""

    type: Literal["mine"] = "mine"
    sink: ClassVar[str] = "ganforge.testing.rules:NoSuchSink"
