"""Optimizers, callbacks and metrics."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar, Protocol

import torch
from pydantic import Field
from torch import Tensor, nn

from ganforge.api.component import Component
from ganforge.api.data import DataSpec, Samples
from ganforge.api.nets import Draw
from ganforge.api.play import Play, Role
from ganforge.api.schedule import Scheduled

Parameters = Iterable[Any]
"""Arguments of torch's optimizers: `nn.Parameter`s, or groups of them (dicts) with their own settings."""


class Optimizer(Component):
    """`[generator.optimizer]`, `[discriminator.optimizer]`."""

    kind: ClassVar[str] = "optimizer"

    lr: Scheduled = Field(gt=0, description="Learning rate before the schedule of `[lr]`.")

    @abstractmethod
    def build(self, parameters: Parameters) -> torch.optim.Optimizer:
        """A torch optimizer over `parameters`, or over parameter groups (dicts) of them."""

    def rate(self) -> float:
        """The learning rate that `build` starts with, before the schedule of `[lr]`."""
        return self.lr

    def scheduled(self) -> dict[str, Any]:
        """Key of the optimizer's parameter groups -> value, for keys that may follow a ramp during a run
        (`{"betas": self.betas}`); set before each iteration. The learning rate is always one of them."""
        return {}


class Callback(Component):
    """`[[callbacks]]`: acts on the comparisons, on the critic's inputs, or on a network after each optimizer
    step of a player."""

    kind: ClassVar[str] = "callbacks"

    def before(self, play: Play) -> None:
        """Called for each comparison before the critic sees it, in either player's update; may replace
        `play.fake` in the discriminator's."""
        return

    def after(self, play: Play) -> None:
        """Called for each comparison after its backward pass, without gradients; the verdicts computed in the
        update are available."""
        return

    def after_update(self, role: Role, network: nn.Module) -> None:
        """Called right after the player's optimizer step, without gradients."""
        return

    def estimates(self, play: Play) -> dict[str, Tensor]:
        """What the callback reports, name -> scalar: called for each comparison after `after`, in either
        player's update, without gradients. Logged as `estimate/NAME`; names that some updates leave out are
        averaged over the others."""
        return {}

    def augment(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """The critic's input in place of `x` [N, ...], real or fake, in either player's update;
        differentiable, and random only through `rng`."""
        return x


class Sampler(Protocol):
    """Draws from the trained generator (its moving average if there is one)."""

    spec: DataSpec

    def sample(self, n: int, seed: int, cond: Tensor | None = None) -> Tensor:
        """`n` samples [n, *shape] in [-1, 1] on the CPU, float32. `cond` [n, K]; None draws
        conditions from the training labels if the generator needs them."""
        ...

    def draw(self, n: int, seed: int, cond: Tensor | None = None) -> tuple[Tensor, Draw]:
        """Samples as from `sample`, and the draw they were made from."""
        ...


class Metric(Component):
    """`[[metrics]]`: a metric of the generator, computed periodically during training."""

    kind: ClassVar[str] = "metrics"

    every: int = Field(50_000, ge=1, description="Images between two computations.")
    seed: int = Field(0, ge=0, description="Seed of the latents, and of whatever else the metric draws.")

    @abstractmethod
    def compute(self, sampler: Sampler, samples: Samples) -> dict[str, float]:
        """Name -> value. Must not touch the global random state or the networks."""

    def provenance(self, spec: DataSpec) -> dict[str, Any]:
        """What its values depend on in addition to its settings and the files these name: extractor, hash of
        its weights, resizer. Values for which this differs are never compared.

        Also called before training starts, so that a missing file is reported then. Raises `UserError` as
        `compute` would.
        """
        return {}
