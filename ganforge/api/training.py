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
"""What torch's optimizers take: `nn.Parameter`s, or groups of them (dicts) with settings of their own."""


class Optimizer(Component):
    """`[generator.optimizer]`, `[discriminator.optimizer]`."""

    kind: ClassVar[str] = "optimizer"

    lr: Scheduled = Field(gt=0, description="Learning rate before the schedule of `[lr]`.")

    @abstractmethod
    def build(self, parameters: Parameters) -> torch.optim.Optimizer:
        """A torch optimizer over `parameters`, or over parameter groups (dicts) of them."""

    def scheduled(self) -> dict[str, Any]:
        """Key of the optimizer's parameter groups -> value, of keys that a ramp may change during a run
        (`{"betas": self.betas}`); set before each iteration. The learning rate is always one."""
        return {}


class Callback(Component):
    """`[[callbacks]]`: acts on what is compared, on what the critic is shown, or on a network after each
    optimizer step of a player."""

    kind: ClassVar[str] = "callbacks"

    def before(self, play: Play) -> None:
        """Called for each comparison before it is judged, in either player's update; may replace
        `play.fake` in the discriminator's."""
        return

    def after(self, play: Play) -> None:
        """Called for each comparison when its gradients are computed, without gradients; the verdicts that
        the update has asked for are there to be read."""
        return

    def after_update(self, role: Role, network: nn.Module) -> None:
        """Called right after the player's optimizer step, without gradients."""
        return

    def augment(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """What the critic sees in place of `x` [N, ...], real or fake, in either player's update;
        differentiable, and random only through `rng`."""
        return x


class Sampler(Protocol):
    """Draws from the trained generator (its moving average where there is one)."""

    spec: DataSpec

    def sample(self, n: int, seed: int, cond: Tensor | None = None) -> Tensor:
        """`n` samples [n, *shape] in [-1, 1] on the CPU, float32. `cond` [n, K]; None draws
        conditions from the training labels where the generator needs them."""
        ...

    def draw(self, n: int, seed: int, cond: Tensor | None = None) -> tuple[Tensor, Draw]:
        """Samples as from `sample`, and the draw they were made from."""
        ...


class Metric(Component):
    """`[[metrics]]`: a number about the generator, computed now and then during training."""

    kind: ClassVar[str] = "metrics"

    every: int = Field(50_000, ge=1, description="Compute once in this many images seen.")
    seed: int = Field(0, ge=0, description="Of the latents, and of whatever else the metric draws.")

    @abstractmethod
    def compute(self, sampler: Sampler, data: Samples) -> dict[str, float]:
        """Name -> value. Must not touch the global random state or the networks."""

    def provenance(self, data: DataSpec) -> dict[str, Any]:
        """What its numbers depend on besides its settings and the files these name: extractor,
        hash of its weights, resizer. Numbers for which this differs are never compared.

        Also called before training begins, so that a missing file is not found out in the middle
        of it. Raises `UserError` as `compute` would.
        """
        return {}
