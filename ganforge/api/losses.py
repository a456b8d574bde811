"""Losses and terms: what each player minimizes. A loss is the term that every run has."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

from pydantic import Field
from torch import Tensor

from ganforge.api.component import Component
from ganforge.api.data import DataSpec
from ganforge.api.nets import Prior
from ganforge.api.play import Play, Role
from ganforge.api.schedule import Scheduled
from ganforge.api.tree import total


class Share(NamedTuple):
    """A part of a whole that may be 0 in one update, such as correct answers of all; both are scalars. The
    logged value is the sum of the parts over that of the wholes, or nothing if the latter is 0."""

    part: Tensor
    whole: Tensor


class Loss(Component):
    """`[loss]`: the adversarial game, as two functions from logits to a scalar.

    Logits are [N] for a critic that judges whole samples, and [N, ...] for one that judges patches; of a
    critic with several outputs (scales, periods) both functions are called for each, and summed. A loss that
    needs more than logits implements `__call__` in place of the two.
    """

    kind: ClassVar[str] = "loss"

    paired: ClassVar[bool] = False
    """`g_loss` needs logits on real samples too (relativistic losses)."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if cls.__call__ is not Loss.__call__:
            # Whoever overrides what calls them does without.
            cls.__abstractmethods__ = cls.__abstractmethods__ - {"d_loss", "g_loss"}

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
        """What plots show as D(x): a probability if the loss interprets logits as one, otherwise the critic's
        raw output."""
        return logits

    def estimates(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """Estimates of the distance between data and model from the discriminator's update: name -> scalar,
        from logits without gradient. Logged, not minimized."""
        return {}


class Term(Component):
    """`[[terms]]`: one more scalar for the players it names: penalties and auxiliary losses."""

    kind: ClassVar[str] = "terms"

    players: ClassVar[frozenset[Role]] = frozenset({"d"})
    """The players whose objective includes the term."""

    weight: Scheduled = Field(1.0, ge=0, description="Weight of the term in the player's objective.")
    every: int = Field(
        1,
        ge=1,
        description="Apply once in this many updates of the player, scaled up by as much "
        "(lazy regularization); 1 = at each update.",
    )

    def heads(self, spec: DataSpec, prior: Prior) -> dict[str, int]:
        """Additional outputs needed from the discriminator: name -> width. Raises `UserError` if the data or
        the prior do not support the term."""
        return {}

    @abstractmethod
    def __call__(self, play: Play) -> Tensor:
        """The term's value, a scalar, before `weight` and `every`. Called for each comparison of the task."""

    def estimates(self, play: Play) -> Mapping[str, Tensor | Share]:
        """What else this update reports: name -> scalar, or the share of something that may be absent.
        Called after the term itself, without gradient; logged, not minimized."""
        return {}
