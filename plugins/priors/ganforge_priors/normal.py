"""The standard normal latent."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor

from ganforge.api import Draw, Field, Prior, Tree


class Normal(Prior):
    """z ~ N(0, 1), independent."""

    type: Literal["normal"] = "normal"
    source: ClassVar[str] = (
        "Generative Adversarial Nets (Goodfellow et al., 2014), arXiv:1406.2661, section 3; the "
        "truncation: Large Scale GAN Training for High Fidelity Natural Image Synthesis (Brock et al., "
        "2019), arXiv:1809.11096, section 3.1"
    )

    dim: int = Field(100, ge=1, description="Dimension of the latent z.")

    def z_dim(self) -> int:
        return self.dim

    def sample(self, n: int, cond: Tree, generator: torch.Generator) -> Draw:
        z = torch.randn(n, self.dim, generator=generator, device=generator.device)
        return Draw(z=z, cond=cond, codes={})

    def truncated(self, z: Tensor, limit: float) -> Tensor:
        """Maps z to the same quantile of the truncated normal (Brock et al., 2019, arXiv:1809.11096,
        section 3.1, redraws instead): order-preserving, so that a seed shows the same content at any
        limit."""
        tail = torch.special.ndtr(torch.tensor(-limit, dtype=torch.float64))
        share: Tensor = tail + torch.special.ndtr(z.double()) * (1 - 2 * tail)
        shorter: Tensor = torch.special.ndtri(share)
        return shorter.to(z.dtype)

    def mixed(self, a: Tensor, b: Tensor, share: float) -> Tensor:
        """On a great circle: on a straight line the norm would fall to 0.7 of that of samples (White, 2016,
        arXiv:1609.04468, section 2.1)."""
        angle = torch.acos(torch.cosine_similarity(a, b, dim=1, eps=1e-12).clamp(-1, 1))[:, None]
        parallel = torch.sin(angle) < 1e-4
        safe = torch.where(parallel, torch.ones_like(angle), torch.sin(angle))
        circle = (torch.sin((1 - share) * angle) * a + torch.sin(share * angle) * b) / safe
        return torch.where(parallel, torch.lerp(a, b, share), circle)
