"""The callback: acts on what the discriminator sees, or on a network after its update."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from ganforge.api import Callback, Field, rows


class MyCallback(Callback):
    """Noise on every sample that the discriminator sees (instance noise)."""

    type: Literal["my"] = "my"
    std: float = Field(0.1, ge=0, description="Standard deviation of the noise; 0 = off.")

    def augment(self, x: Tensor, rng: torch.Generator) -> Tensor:
        def draw(n: int, generator: torch.Generator) -> Tensor:
            return torch.randn(n, *x.shape[1:], generator=generator, device=x.device, dtype=x.dtype)

        return x + self.std * rows(rng, len(x), draw)
