"""Minibatch standard deviation: lets the discriminator see that fakes are too alike.

Progressive Growing of GANs (Karras, Aila, Laine & Lehtinen, 2018), arXiv:1710.10196, section 3.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MinibatchStddev(nn.Module):
    """Adds a plane [N, 1, H, W] holding one number: the standard deviation over the batch,
    averaged over all channels and pixels."""

    def forward(self, x: Tensor) -> Tensor:
        variance = x.float().var(dim=0, correction=0)
        # The root has no gradient at 0, which a batch of one or of equal samples would ask for.
        spread = (variance + 1e-8).sqrt().mean().to(x.dtype)
        return torch.cat([x, spread.expand(x.shape[0], 1, *x.shape[2:])], dim=1)
