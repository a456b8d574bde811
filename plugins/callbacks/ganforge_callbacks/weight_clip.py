"""Weight clipping, which keeps a Wasserstein critic Lipschitz.

Wasserstein GAN (Arjovsky, Chintala and Bottou, 2017), arXiv:1701.07875, algorithm 1, line 7.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from ganforge.api import Advice, Callback, Field, Role, RunView, has_spectral_norm


class WeightClip(Callback):
    """Clips all parameters of the discriminator to [-limit, limit] after each of its updates."""

    type: Literal["weight_clip"] = "weight_clip"
    also_called: ClassVar[tuple[str, ...]] = ("clip", "weight_clipping", "clipping")
    source: ClassVar[str] = "Wasserstein GAN (Arjovsky et al., 2017), arXiv:1701.07875, algorithm 1"

    limit: float = Field(0.01, gt=0, description="Maximum absolute value of a parameter (c in the paper).")

    def advice(self, run: RunView) -> list[Advice]:
        if has_spectral_norm(run.networks.discriminator):
            text = (
                "callback 'weight_clip' has no effect on layers with spectral norm, whose weights are "
                "divided by their largest singular value (Miyato et al., 2018, arXiv:1802.05957); remove one"
            )
            return [Advice("weight_clip.spectral_norm", text)]
        if run.has("gradient_penalty"):
            text = (
                "callback 'weight_clip' and term 'gradient_penalty' both bound the critic's slope; use one "
                "(Gulrajani et al., 2017, arXiv:1704.00028, section 4)"
            )
            return [Advice("weight_clip.gradient_penalty", text)]
        return []

    @torch.no_grad()
    def after_update(self, role: Role, network: nn.Module) -> None:
        if role == "g":
            return
        parameters: list[Tensor] = list(network.parameters())
        torch._foreach_clamp_min_(parameters, -self.limit)
        torch._foreach_clamp_max_(parameters, self.limit)
