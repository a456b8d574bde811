"""Logits near the moving average of the other side's."""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor

from ganforge.api import Field, Play, Scheduled, Term, memory, per_sample


class LeCamDistance(Term):
    """E (D(x) - a_F)^2 + E (D(G(z)) - a_R)^2, with the moving averages a_R of E D(x) and a_F of E D(G(z))."""

    type: Literal["acme_lecam"] = "acme_lecam"
    source: ClassVar[str] = (
        "Regularizing Generative Adversarial Networks under Limited Data (Tseng et al., 2021), "
        "arXiv:2104.03310, equation 5"
    )
    weight: Scheduled = Field(0.3, ge=0, description="Weight of the term.")
    _real: Tensor = memory(0.0)
    _fake: Tensor = memory(0.0)

    def __call__(self, play: Play) -> Tensor:
        real, fake = (per_sample(each.logits) for each in (play.real_verdict, play.fake_verdict))  # [N]
        for average, logits in ((self._real, real), (self._fake, fake)):
            average.lerp_(play.mean(logits.detach().mean()).to(average.dtype), 0.01)
        return (real - self._fake.clone()).square().mean() + (fake - self._real.clone()).square().mean()
