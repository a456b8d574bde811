"""Losses and terms: what each player minimises. Both are stateless."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from pydantic import Field
from torch import Tensor

from ganforge.api.component import Component
from ganforge.api.data import DataSpec
from ganforge.api.nets import Prior
from ganforge.api.play import Play, Role


class Loss(Component):
    """`[loss]`: the adversarial game, as two pure functions of logits [N], each giving a scalar."""

    kind: ClassVar[str] = "loss"

    paired: ClassVar[bool] = False
    """`g_loss` needs logits on real samples too (relativistic losses)."""

    @abstractmethod
    def d_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """What the discriminator minimises."""

    @abstractmethod
    def g_loss(self, fake: Tensor, real: Tensor | None) -> Tensor:
        """What the generator minimises; `real` is None unless the loss is `paired`."""

    def score(self, logits: Tensor) -> Tensor:
        """What a plot calls D(x): a probability where the loss gives logits that meaning,
        else the critic's output as it is."""
        return logits

    def estimates(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """What the discriminator's update tells of the distance between data and model: name ->
        scalar, of logits [N] without gradient. Logged, not minimised."""
        return {}


class Term(Component):
    """`[[terms]]`: one more scalar for the players it names: penalties and auxiliary losses."""

    kind: ClassVar[str] = "terms"

    players: ClassVar[frozenset[Role]] = frozenset({"d"})
    """Whose objective the term joins."""

    weight: float = Field(1.0, description="Factor on the term in the player's objective.")
    every: int = Field(
        1,
        ge=1,
        description="Apply once in this many updates of the player, scaled up by as much "
        "(lazy regularisation); 1 = at each update.",
    )

    def heads(self, data: DataSpec, prior: Prior) -> dict[str, int]:
        """Extra outputs wanted from the discriminator: name -> width. Raises `UserError` where
        the data or the prior cannot serve the term."""
        return {}

    @abstractmethod
    def __call__(self, play: Play) -> Tensor:
        """The term's value, a scalar, before `weight` and `every`."""

    def estimates(self, play: Play) -> dict[str, Tensor]:
        """What this update tells besides: name -> scalar. Called after the term itself, without
        gradient; logged, not minimised."""
        return {}
