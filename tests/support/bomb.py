"""A term that is NaN when a test wants it to be."""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor

from ganforge.api import Field, Play, Role, Term
from ganforge.engine.loop import Loop


class Bomb(Term):
    """Finite but for one update of the discriminator, in which it is NaN."""

    type: Literal["bomb"] = "bomb"
    players: ClassVar[frozenset[Role]] = frozenset({"d"})
    at: int = Field(0, description="Which call.")
    lasting: bool = Field(False, description="NaN from then on.")
    calls: ClassVar[int] = 0

    def __call__(self, play: Play) -> Tensor:
        Bomb.calls += 1
        assert Bomb.calls < 1000, "the run never ends"
        bad = Bomb.calls - 1 >= self.at if self.lasting else Bomb.calls - 1 == self.at
        return play.real_verdict.logits.mean() * (float("nan") if bad else 0.0)


def with_bomb(loop: Loop, bomb: Bomb) -> Loop:
    Bomb.calls = 0
    loop.game.players["d"].terms["bomb"] = bomb
    return loop
