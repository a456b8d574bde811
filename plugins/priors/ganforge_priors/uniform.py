"""The uniform latent.

Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks
(Radford et al., 2016), arXiv:1511.06434, section 4.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch

from ganforge.api import Draw, Field, Prior, Tree


class Uniform(Prior):
    """z ~ U(-1, 1), independent."""

    type: Literal["uniform"] = "uniform"
    source: ClassVar[str] = (
        "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks "
        "(Radford et al., 2016), arXiv:1511.06434, section 4"
    )

    dim: int = Field(100, ge=1, description="Dimension of the latent z.")

    def z_dim(self) -> int:
        return self.dim

    def sample(self, n: int, cond: Tree, generator: torch.Generator) -> Draw:
        z = torch.rand(n, self.dim, generator=generator, device=generator.device) * 2 - 1
        return Draw(z=z, cond=cond, codes={})
