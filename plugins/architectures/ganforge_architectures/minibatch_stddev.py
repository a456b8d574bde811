"""Minibatch standard deviation: makes it visible to the discriminator when fakes are too alike.

Progressive Growing of GANs (Karras, Aila, Laine & Lehtinen, 2018), arXiv:1710.10196, section 3.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ganforge.api import WholeBatch


class MinibatchStddev(nn.Module):
    """Appends a plane [N, 1, H, W] with a single number: the standard deviation over the batch, averaged over
    all channels and pixels; in training over the batch of all processes."""

    def __init__(self) -> None:
        super().__init__()
        self.batch = WholeBatch()

    def forward(self, x: Tensor) -> Tensor:
        every = x.to(torch.promote_types(x.dtype, torch.float32))
        if self.training:
            every = self.batch.gather(every)  # [N of all processes, C, H, W]
        variance = every.var(dim=0, correction=0)  # [C, H, W]
        # The square root has no gradient at 0, which occurs for a batch of one or of equal samples.
        spread = (variance + 1e-8).sqrt().mean().to(x.dtype)  # scalar
        return torch.cat([x, spread.expand(x.shape[0], 1, *x.shape[2:])], dim=1)  # [N, C + 1, H, W]
