"""Adaptive discriminator augmentation: as strong as overfitting requires.

Training Generative Adversarial Networks with Limited Data (Karras et al., 2020), arXiv:2006.06676,
section 3.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from ganforge.api import Field, Play, Role, mapped, memory, per_sample
from ganforge_callbacks.augment import Pipeline


class Ada(Pipeline):
    """The pipeline of `augment`, whose p follows r = E[sign D(x)] over real x: where D is surer of them than
    the target, it has started to overfit, and p rises; otherwise p falls.

    For losses whose critic puts its boundary at 0: `bce`, `hinge`. Real samples count in every comparison
    of the task. In the log: `estimate/ada_p` and `estimate/ada_r`.
    """

    type: Literal["ada"] = "ada"
    source: ClassVar[str] = (
        "Training Generative Adversarial Networks with Limited Data (Karras et al., 2020), arXiv:2006.06676, "
        "section 3"
    )

    target: float = Field(0.6, gt=-1, lt=1, description="The r at which p stays; 0.5 to 0.7 is usual.")
    every: int = Field(4, ge=1, description="Updates of D between two changes of p.")
    kimg: float = Field(
        500.0, gt=0, description="Speed: thousands of images in which p goes from 0 to 1 where r asks for it."
    )
    limit: float = Field(1.0, gt=0, le=1, description="The largest p; above 0.8 G begins to learn from it.")

    _p: Tensor = memory(0.0)
    _r: Tensor = memory(0.0)
    """r when p was changed last."""
    _signs: Tensor = memory(0.0)
    """Since then: the sum of the signs, per process."""
    _count: Tensor = memory(0.0)
    """... how many they were, per process."""
    _images: Tensor = memory(0.0)
    """... in all processes."""
    _updates: Tensor = memory(0.0)

    def probability(self) -> Tensor:
        return self._p

    def after(self, play: Play) -> None:
        if play.role != "d":
            return
        signs = per_sample(mapped(torch.sign, play.real_verdict.logits))  # [N]
        self._signs.add_(play.mean(signs.sum()))
        self._count.add_(len(signs))
        self._images.add_(len(signs) * play.world)

    def after_update(self, role: Role, network: nn.Module) -> None:
        if role != "d":
            return
        self._updates.add_(1)
        # Without a question to the device, so that a recorded update does the same.
        due = (self._updates >= self.every).to(self._p.dtype)
        r = self._signs / self._count.clamp_min(1)
        self._r.lerp_(r, due)
        step = due * (r - self.target).sign() * self._images / (1000 * self.kimg)
        self._p.add_(step).clamp_(0, self.limit)
        for sum_ in (self._signs, self._count, self._images, self._updates):
            sum_.mul_(1 - due)

    def estimates(self, play: Play) -> dict[str, Tensor]:
        return {"ada_p": self._p, "ada_r": self._r} if play.role == "d" else {}
