"""The prior: the distribution of the latent."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from ganforge.api import Draw, Field, Prior


class MyPrior(Prior):
    """Uniform on a sphere of radius 1."""

    type: Literal["my"] = "my"
    dim: int = Field(64, ge=2, description="Dimension of the latent.")

    def z_dim(self) -> int:
        return self.dim

    def sample(self, n: int, cond: Tensor | None, generator: torch.Generator) -> Draw:
        z = torch.randn(n, self.dim, generator=generator, device=generator.device)
        return Draw(z / torch.linalg.vector_norm(z, dim=1, keepdim=True), cond, {})
