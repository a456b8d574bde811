"""StyleGAN's mapping network: latents and conditions -> styles.

A Style-Based Generator Architecture for Generative Adversarial Networks (Karras, Laine & Aila, 2019),
arXiv:1812.04948, section 2; conditions as in Training Generative Adversarial Networks with Limited Data
(Karras et al., 2020), arXiv:2006.06676, appendix, and the authors' code: embedded, normalized, concatenated.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ganforge.api import Tree
from ganforge_architectures.conditioning import row
from ganforge_architectures.equalized import EqualizedLinear
from ganforge_architectures.precision import full_precision


def normalized(x: Tensor) -> Tensor:
    """x [N, F] with a mean square of 1."""
    return x * (x.square().mean(1, keepdim=True) + 1e-8).rsqrt()


class Mapping(nn.Module):
    """z [N, z_dim] or None, cond [N, K] or None -> w [N, copies, width]; float32 whatever the run's
    precision."""

    def __init__(self, z_dim: int, condition: int, width: int, layers: int, rate: float, copies: int) -> None:
        """`z_dim` 0: no z; `condition` 0: no condition; `rate`: factor on the learning rate."""
        super().__init__()
        self.copies = copies
        self.embed = EqualizedLinear(condition, width) if condition else None
        first = z_dim + (width if condition else 0)
        self.layers = nn.Sequential(
            *(EqualizedLinear(width if i else first, width, rate, active=True) for i in range(layers))
        )

    def forward(self, z: Tensor | None, cond: Tree) -> Tensor:
        some = z if z is not None else row(cond)
        with full_precision(some):
            dtype = next(self.parameters()).dtype
            parts = [] if z is None else [normalized(z.to(dtype))]
            if self.embed is not None:
                parts.append(normalized(self.embed(row(cond).flatten(1).to(dtype))))  # [N, width]
            w: Tensor = self.layers(parts[0] if len(parts) == 1 else torch.cat(parts, 1))  # [N, width]
            return w[:, None].expand(-1, self.copies, -1)  # [N, copies, width]
