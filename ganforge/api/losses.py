"""Losses and terms: what each player minimizes. A loss is the term that every run has."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

from pydantic import Field
from torch import Tensor

from ganforge.api.component import Component
from ganforge.api.data import DataSpec
from ganforge.api.nets import Prior
from ganforge.api.play import Play, Role
from ganforge.api.schedule import Scheduled
from ganforge.api.tree import total


class Share(NamedTuple):
    """A part of a whole that may be 0 in one update, such as right answers of all; both are scalars. What is
    logged is the sum of the parts over that of the wholes, and nothing where the latter is 0."""

    part: Tensor
    whole: Tensor


class Loss(Component):
    """`[loss]`: the adversarial game, as two functions of logits, each giving a scalar.

    Logits are [N] for a critic that judges whole samples, and [N, ...] for one that judges patches; of a
    critic with several outputs (scales, periods) both functions are called for each, and summed.
    """

    kind: ClassVar[str] = "loss"

    paired: ClassVar[bool] = False
    """`g_loss` needs logits on real samples too (relativistic losses)."""

    @abstractmethod
    def d_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """What the discriminator minimizes."""

    @abstractmethod
    def g_loss(self, fake: Tensor, real: Tensor | None) -> Tensor:
        """What the generator minimizes; `real` is None unless the loss is `paired`."""

    def __call__(self, play: Play) -> Tensor:
        """The objective of the player whose update this is, a scalar. To be overridden by a loss that needs
        more than logits, or that remembers something."""
        if play.role == "d":
            value: Tensor = total(self.d_loss, play.real_verdict.logits, play.fake_verdict.logits)
        elif self.paired:
            value = total(self.g_loss, play.fake_verdict.logits, play.real_verdict.logits)
        elif play.both_learn:
            # With the two swapped: Donahue et al. (2017), arXiv:1605.09782, section 3.4.
            value = total(self.d_loss, play.fake_verdict.logits, play.real_verdict.logits)
        else:
            value = total(lambda fake: self.g_loss(fake, None), play.fake_verdict.logits)
        return value

    def score(self, logits: Tensor) -> Tensor:
        """What a plot calls D(x): a probability where the loss gives logits that meaning,
        else the critic's output as it is."""
        return logits

    def estimates(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """What the discriminator's update tells of the distance between data and model: name ->
        scalar, of logits without gradient. Logged, not minimized."""
        return {}


class Term(Component):
    """`[[terms]]`: one more scalar for the players it names: penalties and auxiliary losses."""

    kind: ClassVar[str] = "terms"

    players: ClassVar[frozenset[Role]] = frozenset({"d"})
    """Whose objective the term joins."""

    weight: Scheduled = Field(1.0, ge=0, description="Factor on the term in the player's objective.")
    every: int = Field(
        1,
        ge=1,
        description="Apply once in this many updates of the player, scaled up by as much "
        "(lazy regularization); 1 = at each update.",
    )

    def heads(self, data: DataSpec, prior: Prior) -> dict[str, int]:
        """Extra outputs wanted from the discriminator: name -> width. Raises `UserError` where
        the data or the prior cannot serve the term."""
        return {}

    @abstractmethod
    def __call__(self, play: Play) -> Tensor:
        """The term's value, a scalar, before `weight` and `every`. Called for each comparison of the task."""

    def estimates(self, play: Play) -> Mapping[str, Tensor | Share]:
        """What else this update reports: name -> scalar, or the share of something that may be absent.
        Called after the term itself, without gradient; logged, not minimized."""
        return {}
