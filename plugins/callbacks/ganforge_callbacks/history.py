"""A history of fakes, so that the discriminator does not forget what it was shown before.

Learning from Simulated and Unsupervised Images through Adversarial Training (Shrivastava et al., 2016),
arXiv:1612.07828, section 2.3; as used by CycleGAN, arXiv:1703.10593, section 4.
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
from pydantic import PrivateAttr
from torch import Tensor

from ganforge.api import Callback, DataSpec, Field, Play, Shapes, UserError, leaves, mapped, memory


class History(Callback):
    """In the discriminator's update, half of the fakes are replaced by older ones and take their places in
    the pool, as soon as there are older ones; each comparison and each process has a pool of its own. The
    condition that a critic is shown goes with the fake."""

    type: Literal["history"] = "history"
    source: ClassVar[str] = (
        "Learning from Simulated and Unsupervised Images through Adversarial Training (Shrivastava et al., "
        "2016), arXiv:1612.07828, section 2.3"
    )

    size: int = Field(50, ge=1, description="Fakes in a pool; at least those of one update in one process.")
    _pool: Tensor = memory(0.0, each=True)
    """[size, ...]: a row has a place for a fake of each comparison, and for its condition."""
    _filled: Tensor = memory(0.0, each=True)
    """[comparisons, size]: 1 where there is a fake."""
    _places: dict[str, tuple[int, int, int]] = PrivateAttr(default_factory=dict)
    """Comparison -> its number, and where its columns in the pool begin and end."""

    def prepare(self, spec: DataSpec, shapes: Shapes) -> None:
        width = 0
        for number, (name, shape) in enumerate(shapes.items()):
            # A column without conditions, too: pools in checkpoints have it.
            columns = math.prod(shape) + (spec.labels.numbers or 1)
            self._places[name] = (number, width, width + columns)
            width += columns
        self._pool = torch.zeros(self.size, width)
        self._filled = torch.zeros(len(shapes), self.size)

    @torch.no_grad()
    def before(self, play: Play) -> None:
        """Raises `UserError` for more fakes than the pool has places, and for conditions of another shape
        than the data's."""
        if play.role != "d":
            return
        number, begin, end = self._places[play.name]
        shown = self._rows(play, end - begin)
        n, device = len(shown), shown.device
        # Each fake is given a place of its own.
        place = torch.rand(self.size, generator=play.rng, device=device).argsort()[:n]
        swaps = torch.rand(n, generator=play.rng, device=device) < 0.5
        filled = self._filled[number].index_select(0, place) > 0
        old = self._pool[:, begin:end].index_select(0, place)
        taken, kept = (swaps & filled)[:, None], (swaps | ~filled)[:, None]
        self._pool[:, begin:end].index_copy_(0, place, torch.where(kept, shown, old))
        self._filled[number].index_fill_(0, place, 1.0)
        rows = torch.where(taken, old, shown)
        parts = [play.fake, *leaves(play.fake_cond)]
        sizes = [each[0].numel() for each in parts]
        columns = iter(torch.split(rows[:, : sum(sizes)], sizes, dim=1))
        play.fake = next(columns).reshape_as(play.fake)
        play.fake_cond = mapped(lambda each: next(columns).reshape_as(each), play.fake_cond)

    def _rows(self, play: Play, width: int) -> Tensor:
        """Each fake with its condition in a row: [n, width]."""
        if len(play.fake) > self.size:
            raise UserError(
                f"callback 'history': size = {self.size} is less than the {len(play.fake)} fakes of an "
                f"update; set size = {len(play.fake)} or more"
            )
        rows = torch.cat([each.flatten(1) for each in (play.fake, *leaves(play.fake_cond))], 1)
        if rows.shape[1] > width:
            raise UserError(
                "callback 'history': expected fakes whose condition is shaped as the data's, got "
                f"{', '.join(str(list(each.shape[1:])) for each in leaves(play.fake_cond))}; remove the "
                "callback"
            )
        missing = width - rows.shape[1]
        return rows if not missing else torch.cat([rows, rows.new_zeros(len(rows), missing)], 1)
